// Sections B, factory and documentation, and C, properties.
#include <glib/gstdio.h>
#include <gst/controller/controller.h>

#include <cstring>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "support.h"

namespace {

const char *const kSmall = "format=RGB,width=8,height=6";
GstBuffer *frame(unsigned i) { return pattern_new(info_of(kSmall), i * GST_SECOND, i); }

struct Agreed {
  const char *name;
  const char *value;  // the default as text; nullptr: NULL
  guint flags;
};

constexpr guint kReady = GST_PARAM_MUTABLE_READY;
constexpr guint kPlaying = GST_PARAM_MUTABLE_PLAYING;
constexpr guint kControllable = GST_PARAM_MUTABLE_PLAYING | GST_PARAM_CONTROLLABLE;

const Agreed kAgreed[] = {{"model", nullptr, kReady},
                          {"device", "auto", kReady},
                          {"precision", "auto", kReady},
                          {"lora", nullptr, kPlaying},
                          {"embeddings", nullptr, kReady},
                          {"prompt", "", kPlaying},
                          {"negative-prompt", "", kPlaying},
                          {"seed", "-1", kControllable},
                          {"random-seed", "TRUE", kPlaying},
                          {"steps", "0", kControllable},
                          {"guidance-scale", "-1", kControllable},
                          {"noise-level", "-1", kControllable},
                          {"noise-temperature", "-1", kControllable},
                          {"scheduler", "model", kPlaying},
                          {"eta", "0", kControllable},
                          {"guidance-start", "0", kControllable},
                          {"guidance-stop", "1", kControllable},
                          {"cache-interval", "1", kControllable},
                          {"cache-branch-id", "0", kControllable},
                          {"safety-check", "TRUE", kPlaying},
                          {"safety-action", "scale", kPlaying},
                          {"safety-model", nullptr, kReady},
                          {"tile-size", "0", kReady},
                          {"tile-overlap", "0", kReady},
                          {"memory-budget", "0", kReady},
                          {"max-pixels", "0", kReady},
                          {"n-threads", "0", kReady},
                          {"max-in-flight", "1", kReady},
                          {"fallback", "none", kReady},
                          {"late-policy", "wait", kPlaying},
                          {"latency", "0", kPlaying},
                          {"reuse-threshold", "0", kPlaying},
                          {"temporal", "fixed", kPlaying},
                          {"post-messages", "FALSE", kPlaying}};

guint64 hash_of(const char *text) { return g_str_hash(text) & 0xff; }

}  // namespace

POINT(B1_factory) {
  GstElementFactory *factory = gst_element_factory_find("livepeerupscale");
  const gchar *klass = gst_element_factory_get_metadata(factory, GST_ELEMENT_METADATA_KLASS);
  for (const char *word : {"Filter", "Effect", "Converter", "Video", "Scaler"})
    fail_unless(strstr(klass, word) != nullptr, "%s", word);
  for (const char *key : {GST_ELEMENT_METADATA_LONGNAME, GST_ELEMENT_METADATA_DESCRIPTION,
                          GST_ELEMENT_METADATA_AUTHOR})
    fail_unless(strlen(gst_element_factory_get_metadata(factory, key)) > 5);
  fail_unless_equals_int(int(gst_plugin_feature_get_rank(GST_PLUGIN_FEATURE(factory))),
                         GST_RANK_NONE);
  gst_object_unref(factory);
}

POINT(B3_B6_C1_names_defaults_flags_and_words) {
  GstElement *element = gst_element_factory_make("livepeerupscale", nullptr);
  guint own = 0, count = 0;
  GParamSpec **specs = g_object_class_list_properties(G_OBJECT_GET_CLASS(element), &count);
  for (guint i = 0; i < count; ++i) own += specs[i]->owner_type == G_OBJECT_TYPE(element);
  g_free(specs);
  fail_unless_equals_int(int(own), int(G_N_ELEMENTS(kAgreed)) + 1);
  for (const Agreed &agreed : kAgreed) {
    GParamSpec *spec = g_object_class_find_property(G_OBJECT_GET_CLASS(element), agreed.name);
    fail_unless(spec != nullptr, "%s", agreed.name);
    fail_unless(strlen(g_param_spec_get_nick(spec)) > 2 && strlen(g_param_spec_get_blurb(spec)) > 5,
                "%s", agreed.name);
    fail_unless_equals_int(int(spec->flags & (kReady | GST_PARAM_MUTABLE_PAUSED | kControllable)),
                           int(agreed.flags));
    GValue wanted = G_VALUE_INIT, value = G_VALUE_INIT;
    g_value_init(&wanted, spec->value_type);
    g_value_init(&value, spec->value_type);
    if (agreed.value) fail_unless(gst_value_deserialize(&wanted, agreed.value), "%s", agreed.name);
    fail_unless(g_param_value_defaults(spec, &wanted), "the default of %s", agreed.name);
    g_object_get_property(G_OBJECT(element), agreed.name, &value);
    fail_unless(g_param_values_cmp(spec, &value, &wanted) == 0, "the first value of %s",
                agreed.name);
    g_value_unset(&value);
    g_value_unset(&wanted);
    if (G_IS_PARAM_SPEC_ENUM(spec))
      fail_unless(gst_type_is_plugin_api(spec->value_type, nullptr), "%s", agreed.name);
  }
  gst_object_unref(element);
}

POINT(C9_presets_are_listed_and_set_what_they_name) {
  // Presets of the user's, which a case below saves, would hide those of the project.
  const std::string saved =
      std::string(g_get_user_data_dir()) + "/gstreamer-1.0/presets/GstLivepeerUpscale.prs";
  g_remove(saved.c_str());
  GstElement *element = gst_element_factory_make("livepeerupscale", nullptr);
  GstPreset *preset = GST_PRESET(element);
  const std::map<std::string, guint> steps = {
      {"archive", 50}, {"balanced", 20}, {"live", 1}, {"reference", 75}};
  gchar **names = gst_preset_get_preset_names(preset);
  std::set<std::string> listed;
  for (gchar **name = names; *name; ++name) listed.insert(*name);
  g_strfreev(names);
  GKeyFile *file = g_key_file_new();
  const std::string path = std::string(g_getenv("GST_PRESET_PATH")) + "/GstLivepeerUpscale.prs";
  fail_unless(g_key_file_load_from_file(file, path.c_str(), G_KEY_FILE_NONE, nullptr));
  for (const auto &[name, count] : steps) {
    fail_unless(listed.erase(name) == 1, "%s is not listed", name.c_str());
    fail_unless(gst_preset_load_preset(preset, name.c_str()), "%s", name.c_str());
    guint value = 0;
    g_object_get(element, "steps", &value, nullptr);
    fail_unless_equals_int(int(value), int(count));
    // GstPreset passes over keys and values that it does not understand.
    gchar **keys = g_key_file_get_keys(file, name.c_str(), nullptr, nullptr);
    for (gchar **key = keys; *key; ++key) {
      if (g_str_has_prefix(*key, "_meta/")) continue;
      GParamSpec *spec = g_object_class_find_property(G_OBJECT_GET_CLASS(element), *key);
      fail_unless(spec != nullptr, "%s: %s", name.c_str(), *key);
      GValue wanted = G_VALUE_INIT, is = G_VALUE_INIT;
      g_value_init(&wanted, spec->value_type);
      g_value_init(&is, spec->value_type);
      gchar *text = g_key_file_get_string(file, name.c_str(), *key, nullptr);
      fail_unless(gst_value_deserialize(&wanted, text), "%s: %s=%s", name.c_str(), *key, text);
      g_object_get_property(G_OBJECT(element), *key, &is);
      fail_unless(g_param_values_cmp(spec, &is, &wanted) == 0, "%s: %s", name.c_str(), *key);
      g_free(text);
      g_value_unset(&wanted);
      g_value_unset(&is);
    }
    g_strfreev(keys);
  }
  fail_unless(listed.empty());
  fail_if(gst_preset_load_preset(preset, "none such"));
  g_key_file_unref(file);
  gst_object_unref(element);
}

POINT(C2_setting_only_stores) {
  GstElement *element = element_new();
  engine->on_check = [] { throw livepeer::Error(livepeer::ErrorKind::not_found, "There is none"); };
  g_object_set(element, "model", "/no/such/folder", "device", "cuda:7", nullptr);
  gchar *model = nullptr, *device = nullptr;
  g_object_get(element, "model", &model, "device", &device, nullptr);
  fail_unless_equals_string(model, "/no/such/folder");
  fail_unless_equals_string(device, "cuda:7");
  g_free(model);
  g_free(device);
  fail_unless(gst_element_set_state(element, GST_STATE_PAUSED) == GST_STATE_CHANGE_FAILURE);
  gst_element_set_state(element, GST_STATE_NULL);
  gst_object_unref(element);
}

POINT(C3_what_is_taken_at_start_leaves_the_running_stream_alone) {
  GstHarness *h = harness_new(kSmall, "model=one");
  const auto model_of_next = [&](unsigned i) {
    GstBuffer *out = gst_harness_push_and_pull(h, frame(i));
    const std::string model = gst_buffer_get_livepeer_upscale_meta(out)->model;
    gst_buffer_unref(out);
    return model;
  };
  fail_unless(model_of_next(0) == "one");
  g_object_set(h->element, "model", "two", "max-pixels", guint64(1), nullptr);
  fail_unless(model_of_next(1) == "one");
  g_object_set(h->element, "max-pixels", guint64(0), nullptr);
  gst_element_set_state(h->element, GST_STATE_READY);
  gst_element_set_state(h->element, GST_STATE_PLAYING);
  gst_harness_push_event(h, gst_event_new_stream_start("again"));
  gst_harness_set_src_caps_str(h, raw_caps(kSmall).c_str());
  fail_unless(model_of_next(2) == "two");
  gst_harness_teardown(h);
}

POINT(C4_C8_a_frame_never_mixes_settings) {
  // The fake engine adds the seed to the pixels; a prompt is its seed in words here, both set while
  // frames flow, the prompt by itself: what a frame's meta says must be what its pixels show.
  GstHarness *h = harness_new(kSmall, "max-in-flight=3");
  engine->prompt_in_pixels = true;
  std::atomic<bool> done{false};
  std::thread setter([&] {
    for (int i = 0; i < 1000; ++i) {
      gchar *prompt = g_strdup_printf("prompt %d", i);
      g_object_set(h->element, "prompt", prompt, nullptr);
      g_free(prompt);
      GstStructure *stats = nullptr;
      g_object_get(h->element, "stats", &stats, "prompt", &prompt, nullptr);
      g_free(prompt);
      gst_structure_free(stats);
      std::this_thread::yield();
    }
    done = true;
  });
  unsigned frames = 0;
  while (!done || frames < 50) {
    fail_unless_equals_int(gst_harness_push(h, frame(frames++)), 0);
    while (GstBuffer *out = gst_harness_try_pull(h)) {
      const GstLivepeerUpscaleMeta *meta = gst_buffer_get_livepeer_upscale_meta(out);
      guint8 red = 0;  // 0 in the pattern
      gst_buffer_extract(out, 0, &red, 1);
      fail_unless_equals_int(red, int(hash_of(meta->prompt)));
      gst_buffer_unref(out);
    }
  }
  setter.join();
  gst_harness_teardown(h);
}

POINT(C5_a_controller_sets_numbers_in_stream_time) {
  GstHarness *h = harness_new(kSmall);
  GstControlSource *source = gst_interpolation_control_source_new();
  g_object_set(source, "mode", GST_INTERPOLATION_MODE_LINEAR, nullptr);
  GstTimedValueControlSource *timed = GST_TIMED_VALUE_CONTROL_SOURCE(source);
  gst_timed_value_control_source_set(timed, 0, 1);
  gst_timed_value_control_source_set(timed, 10 * GST_SECOND, 11);
  fail_unless(gst_object_add_control_binding(
      GST_OBJECT(h->element),
      gst_direct_control_binding_new_absolute(GST_OBJECT(h->element), "steps", source)));
  gst_object_unref(source);
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  segment.start = segment.position = GST_SECOND;  // stream time is a second behind
  gst_harness_push_event(h, gst_event_new_segment(&segment));
  for (unsigned i = 1; i < 6; ++i) {
    GstBuffer *out = gst_harness_push_and_pull(h, frame(i));
    fail_unless_equals_int(int(gst_buffer_get_livepeer_upscale_meta(out)->steps), int(i));
    gst_buffer_unref(out);
  }
  gst_harness_teardown(h);
}

POINT(C6_any_string_is_taken) {
  GstHarness *h = harness_new(kSmall);
  const std::string endless(10000, 'a');
  unsigned i = 0;
  for (const char *text :
       {static_cast<const char *>(nullptr), "", "\xff\xfe broken", endless.c_str()}) {
    for (const char *name :
         {"prompt", "negative-prompt", "model", "device", "safety-model", "lora", "embeddings"})
      g_object_set(h->element, name, text, nullptr);
    fail_unless_equals_int(gst_harness_push(h, frame(i++)), 0);
  }
  gst_harness_teardown(h);
}

POINT(C7_same_seed_same_bytes) {
  const std::string source =
      "videotestsrc num-buffers=8 pattern=ball ! video/x-raw,format=RGB,width=48,height=32 ! "
      "livepeerupscale safety-check=false seed=9 ";
  const auto once = run_pipeline(source + "! fakesink name=out");
  fail_unless(run_pipeline(source + "! fakesink name=out") == once);
  fail_unless(run_pipeline(source + "max-in-flight=4 ! fakesink name=out") == once);
}

POINT(C7_random_seed_is_drawn_once_and_told) {
  const auto seed_of = [](GstElement *element) {
    GstStructure *stats = nullptr;
    gint64 seed = -7;
    g_object_get(element, "stats", &stats, nullptr);
    fail_unless(gst_structure_get_int64(stats, "seed", &seed));
    gst_structure_free(stats);
    return seed;
  };
  GstHarness *h = harness_new(kSmall, "random-seed=true");
  const gint64 drawn = seed_of(h->element);
  fail_unless(drawn >= 1 && drawn <= G_MAXUINT32);
  for (unsigned i = 0; i < 3; ++i) {
    GstBuffer *out = gst_harness_push_and_pull(h, frame(i));
    fail_unless_equals_int64(gint64(gst_buffer_get_livepeer_upscale_meta(out)->seed), drawn);
    gst_buffer_unref(out);
  }
  gst_element_set_state(h->element, GST_STATE_READY);
  gst_element_set_state(h->element, GST_STATE_PLAYING);
  fail_unless(seed_of(h->element) != drawn);
  g_object_set(h->element, "seed", gint64(-1), nullptr);
  gboolean random = TRUE;
  g_object_get(h->element, "random-seed", &random, nullptr);
  fail_if(random);
  fail_unless_equals_int64(seed_of(h->element), -1);
  gst_harness_teardown(h);
}

POINT(C9_stats_are_complete) {
  GstHarness *h = harness_new(kSmall, "model=m");
  for (unsigned i = 0; i < 3; ++i) gst_harness_push(h, frame(i / 2));
  GstStructure *stats = nullptr;
  g_object_get(h->element, "stats", &stats, nullptr);
  fail_unless(gst_structure_has_name(stats, "livepeer-upscale-stats"));
  for (const char *name : {"in", "out", "inferred", "reused", "late", "cancelled", "flagged",
                           "load-time", "last-time", "mean-time", "peak-memory"})
    fail_unless(gst_structure_has_field_typed(stats, name, G_TYPE_UINT64), "%s", name);
  for (const char *name : {"model", "device", "precision", "cpu-level", "lora"})
    fail_unless(gst_structure_has_field_typed(stats, name, G_TYPE_STRING), "%s", name);
  fail_unless(gst_structure_has_field_typed(stats, "seed", G_TYPE_INT64));
  fail_unless(gst_structure_has_field_typed(stats, "queue-depth", G_TYPE_UINT));
  fail_unless_equals_string(gst_structure_get_string(stats, "model"), "m");
  gst_structure_free(stats);
  fail_unless_equals_uint64(stat(h->element, "in"), 3);
  fail_unless_equals_uint64(stat(h->element, "out"), 3);
  fail_unless_equals_uint64(stat(h->element, "inferred"), 2);
  fail_unless_equals_uint64(stat(h->element, "reused"), 1);
  fail_unless(stat(h->element, "peak-memory") > 1000000);
  gst_harness_teardown(h);
}

POINT(C1_presets_save_and_load) {
  // The folder for presets is XDG_DATA_HOME, which the build sets for this test.
  GstElement *saved = element_new("steps=7 prompt=sharp seed=5");
  fail_unless(gst_preset_save_preset(GST_PRESET(saved), "mine"));
  GstElement *loaded = element_new("random-seed=true");
  fail_unless(gst_preset_load_preset(GST_PRESET(loaded), "mine"));
  guint steps = 0;
  gint64 seed = 0;
  gboolean random = TRUE;
  gchar *prompt = nullptr;
  g_object_get(loaded, "steps", &steps, "seed", &seed, "random-seed", &random, "prompt", &prompt,
               nullptr);
  fail_unless(steps == 7 && seed == 5 && !random && g_str_equal(prompt, "sharp"));
  g_free(prompt);
  g_object_set(saved, "random-seed", TRUE, nullptr);
  fail_unless(gst_preset_save_preset(GST_PRESET(saved), "mine"));
  fail_unless(gst_preset_load_preset(GST_PRESET(loaded), "mine"));
  g_object_get(loaded, "random-seed", &random, nullptr);
  fail_unless(random);
  fail_unless(gst_preset_delete_preset(GST_PRESET(saved), "mine"));
  gst_object_unref(saved);
  gst_object_unref(loaded);
}

namespace {

std::atomic<int> lines{0};

void count_line(GstDebugCategory *category, GstDebugLevel, const gchar *, const gchar *, gint,
                GObject *, GstDebugMessage *, gpointer) {
  lines += g_str_has_prefix(gst_debug_category_get_name(category), "livepeerupscale");
}

}  // namespace

POINT(H6_no_line_per_frame_at_level_4) {
  gst_debug_add_log_function(count_line, nullptr, nullptr);
  gst_debug_set_threshold_for_name("livepeerupscale*", GST_LEVEL_INFO);
  GstHarness *h = harness_new(kSmall);
  for (unsigned i = 0; i < 50; ++i) fail_unless_equals_int(gst_harness_push(h, frame(i)), 0);
  gst_harness_teardown(h);
  gst_debug_unset_threshold_for_name("livepeerupscale*");
  gst_debug_remove_log_function(count_line);
  fail_unless(lines >= 1 && lines <= 5, "%d lines", lines.load());
}

int main() { return run_suite("properties"); }
