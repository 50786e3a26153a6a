#include "gstlivepeersettings.h"

#include <string>
#include <vector>

namespace {

struct Property {
  GParamSpec *spec;
  void (*set)(Settings &, const GValue *);
  void (*get)(const Settings &, GValue *);
};

/// NULL means the default.
void assign(std::string &to, const GValue *value, const char *fallback) {
  const gchar *text = g_value_get_string(value);
  to = text ? text : fallback;
}

/// What is NULL by default reads as NULL while it is empty.
void assign(GValue *value, const std::string &from, const char *fallback) {
  g_value_set_string(value, from.empty() ? fallback : from.c_str());
}

constexpr auto kReadWrite = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS;
constexpr auto kAtStart = GParamFlags(kReadWrite | GST_PARAM_MUTABLE_READY);
constexpr auto kAnyTime = GParamFlags(kReadWrite | GST_PARAM_MUTABLE_PLAYING);
constexpr auto kControllable = GParamFlags(kAnyTime | GST_PARAM_CONTROLLABLE);

#define VALUE(type, member)                                               \
  [](Settings &s, const GValue *v) { s.member = g_value_get_##type(v); }, \
      [](const Settings &s, GValue *v) { g_value_set_##type(v, s.member); }
#define ENUM(type, member)                                                    \
  [](Settings &s, const GValue *v) { s.member = type(g_value_get_enum(v)); }, \
      [](const Settings &s, GValue *v) { g_value_set_enum(v, int(s.member)); }
#define STRING(member, fallback)                                       \
  [](Settings &s, const GValue *v) { assign(s.member, v, fallback); }, \
      [](const Settings &s, GValue *v) { assign(v, s.member, *fallback ? fallback : nullptr); }
#define TEXT(member)                                             \
  [](Settings &s, const GValue *v) { assign(s.member, v, ""); }, \
      [](const Settings &s, GValue *v) { assign(v, s.member, ""); }

std::vector<Property> make_properties() {
  const Settings d;
  return {
      {g_param_spec_string(
           "model", "Model",
           "Snapshot folder, a .safetensors or .ckpt file, or a model id looked up in MODEL_DIR, "
           "the Hugging Face cache and the Livepeer runner's folder; NULL or default: the "
           "embedded model; quality: a larger one",
           nullptr, kAtStart),
       STRING(spec.model, "")},
      {g_param_spec_string("device", "Device", "auto, cpu, cuda or cuda:N", d.spec.device.c_str(),
                           kAtStart),
       STRING(spec.device, "auto")},
      {g_param_spec_enum("precision", "Precision", "Type of the numbers the model computes with",
                         gst_livepeer_precision_get_type(), int(d.spec.precision), kAtStart),
       ENUM(livepeer::Precision, spec.precision)},
      {g_param_spec_string(
           "lora", "LoRA",
           "LoRAs that change the model: path[@weight] ..., a path with spaces in quotes; NULL: "
           "none. While playing another set takes effect when it is loaded",
           nullptr, kAnyTime),
       STRING(spec.lora, "")},
      {g_param_spec_string("embeddings", "Embeddings",
                           "Textual inversions whose tokens prompts may have: files or folders "
                           "between spaces, a path with spaces in quotes; NULL: none",
                           nullptr, kAtStart),
       STRING(spec.embeddings, "")},
      {g_param_spec_string("prompt", "Prompt", "What the picture shows, or how it should look", "",
                           kAnyTime),
       TEXT(upscale.prompt)},
      {g_param_spec_string("negative-prompt", "Negative prompt",
                           "What the picture should not look like", "", kAnyTime),
       TEXT(upscale.negative_prompt)},
      {g_param_spec_int64("seed", "Seed",
                          "Seed of the noise; setting it, to any value, clears random-seed",
                          G_MININT64, G_MAXINT64, gint64(d.upscale.seed), kControllable),
       [](Settings &s, const GValue *v) {
         s.upscale.seed = uint64_t(g_value_get_int64(v));
         s.random_seed = false;
       },
       [](const Settings &s, GValue *v) { g_value_set_int64(v, gint64(s.upscale.seed)); }},
      {g_param_spec_boolean("random-seed", "Random seed",
                            "Draw the seed at each start; stats tells it", d.random_seed, kAnyTime),
       VALUE(boolean, random_seed)},
      {g_param_spec_uint("steps", "Steps", "Denoising steps; 0: the model's default", 0, 1000,
                         d.upscale.steps, kControllable),
       VALUE(uint, upscale.steps)},
      {g_param_spec_double("guidance-scale", "Guidance scale",
                           "Weight of the prompt against the negative prompt; -1: the model's "
                           "default, up to 1: off",
                           -1, 100, d.upscale.guidance_scale, kControllable),
       VALUE(double, upscale.guidance_scale)},
      {g_param_spec_int("noise-level", "Noise level",
                        "Noise added to the input before upscaling; -1: the model's default", -1,
                        1000, d.upscale.noise_level, kControllable),
       VALUE(int, upscale.noise_level)},
      {g_param_spec_double("noise-temperature", "Noise temperature",
                           "Scale of the start noise, fidelity (0) against texture (1); -1: the "
                           "model's default",
                           -1, 1, d.upscale.noise_temperature, kControllable),
       VALUE(double, upscale.noise_temperature)},
      {g_param_spec_enum("scheduler", "Scheduler", "Sampler of the denoising steps",
                         gst_livepeer_scheduler_get_type(), int(d.upscale.scheduler), kAnyTime),
       ENUM(livepeer::SchedulerKind, upscale.scheduler)},
      {g_param_spec_double(
           "eta", "Eta",
           "Share of fresh noise in every step of the sampler ddim; the others take "
           "no such number",
           0, 1, d.upscale.eta, kControllable),
       VALUE(double, upscale.eta)},
      {g_param_spec_double("guidance-start", "Guidance start",
                           "Share of the steps before the first that is guided; the others take "
                           "half the time and see the prompt only",
                           0, 1, d.upscale.guidance_start, kControllable),
       VALUE(double, upscale.guidance_start)},
      {g_param_spec_double("guidance-stop", "Guidance stop",
                           "Share of the steps after which none is guided", 0, 1,
                           d.upscale.guidance_stop, kControllable),
       VALUE(double, upscale.guidance_stop)},
      {g_param_spec_uint("cache-interval", "Cache interval",
                         "Compute the deep layers of the UNet in every so many steps only "
                         "(DeepCache); 1: in all. Faster, and not the same picture",
                         1, 1000, d.upscale.cache_interval, kControllable),
       VALUE(uint, upscale.cache_interval)},
      {g_param_spec_uint("cache-branch-id", "Cache branch id",
                         "Where the way past the deep layers begins, 3 numbers for each level of "
                         "the UNet; larger: slower and closer to all layers",
                         0, 100, d.upscale.cache_branch_id, kControllable),
       VALUE(uint, upscale.cache_branch_id)},
      {g_param_spec_boolean("safety-check", "Safety check",
                            "Check each frame; the start fails where no checker is to be had",
                            d.upscale.safety_check, kAnyTime),
       [](Settings &s, const GValue *v) {
         s.upscale.safety_check = s.spec.safety_check = g_value_get_boolean(v);
       },
       [](const Settings &s, GValue *v) { g_value_set_boolean(v, s.upscale.safety_check); }},
      {g_param_spec_enum("safety-action", "Safety action", "What becomes of a flagged frame",
                         gst_livepeer_safety_action_get_type(), int(d.safety_action), kAnyTime),
       ENUM(SafetyAction, safety_action)},
      {g_param_spec_string(
           "safety-model", "Safety model",
           "Folder of a safety checker; NULL: the model's own, else the built-in one", nullptr,
           kAtStart),
       STRING(spec.safety_model, "")},
      {g_param_spec_uint("tile-size", "Tile size",
                         "Side of the tiles in input pixels; 0: from memory-budget", 0, G_MAXUINT16,
                         d.limits.tile_size, kAtStart),
       VALUE(uint, limits.tile_size)},
      {g_param_spec_uint("tile-overlap", "Tile overlap",
                         "Input pixels that neighbouring tiles share; 0: automatic", 0, G_MAXUINT16,
                         d.limits.tile_overlap, kAtStart),
       VALUE(uint, limits.tile_overlap)},
      {g_param_spec_uint64("memory-budget", "Memory budget",
                           "Bytes for the work on a frame; 0: automatic, at most half of what is "
                           "free when the model is loaded, on a GPU 4 GiB",
                           0, G_MAXUINT64, d.limits.memory_budget, kAtStart),
       VALUE(uint64, limits.memory_budget)},
      {g_param_spec_uint64("max-pixels", "Maximum pixels",
                           "Largest input frame in pixels; 0: 3840x2160", 0, G_MAXUINT64,
                           d.max_pixels, kAtStart),
       VALUE(uint64, max_pixels)},
      {g_param_spec_uint("n-threads", "Number of threads",
                         "Threads that compute a frame; 0: the processors for this process, shared "
                         "by its elements",
                         0, 1024, d.limits.n_threads, kAtStart),
       VALUE(uint, limits.n_threads)},
      {g_param_spec_uint("max-in-flight", "Maximum in flight",
                         "Frames between sink and source pad; more than one lets upstream work "
                         "meanwhile",
                         1, 1024, d.max_in_flight, kAtStart),
       VALUE(uint, max_in_flight)},
      {g_param_spec_enum("fallback", "Fallback",
                         "What a running stream does when the engine fails; a model that cannot be "
                         "opened ends it always",
                         gst_livepeer_fallback_get_type(), int(d.fallback), kAtStart),
       ENUM(Fallback, fallback)},
      {g_param_spec_enum("late-policy", "Late policy",
                         "What becomes of a frame that would not be ready in time",
                         gst_livepeer_late_policy_get_type(), int(d.late_policy), kAnyTime),
       ENUM(LatePolicy, late_policy)},
      {g_param_spec_uint64("latency", "Latency",
                           "Latency for live pipelines in nanoseconds; 0: measured", 0, G_MAXUINT64,
                           d.latency, kAnyTime),
       VALUE(uint64, latency)},
      {g_param_spec_double("reuse-threshold", "Reuse threshold",
                           "Regions that differ by at most this from the frame before, on average "
                           "and in 1/255, are not computed again; 0: exactly equal ones, -1: none",
                           -1, 255, d.reuse_threshold, kAnyTime),
       VALUE(double, reuse_threshold)},
      {g_param_spec_enum("temporal", "Temporal", "What the noise does from frame to frame",
                         gst_livepeer_temporal_get_type(), int(d.upscale.temporal), kAnyTime),
       ENUM(livepeer::TemporalMode, upscale.temporal)},
      {g_param_spec_boolean("post-messages", "Post messages",
                            "Post an element message for each frame and each step", d.post_messages,
                            kAnyTime),
       VALUE(boolean, post_messages)},
  };
}

const std::vector<Property> &properties() {
  static const std::vector<Property> all = make_properties();
  return all;
}

}  // namespace

std::shared_ptr<const Settings> SettingsStore::get() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return settings_;
}

void SettingsStore::set_property(guint id, const GValue *value) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto changed = std::make_shared<Settings>(*settings_);
  properties().at(id - 1).set(*changed, value);
  settings_ = changed;
}

void SettingsStore::get_property(guint id, GValue *value) const {
  properties().at(id - 1).get(*get(), value);
}

guint gst_livepeer_settings_install(GObjectClass *klass) {
  guint id = 1;
  for (const Property &property : properties())
    g_object_class_install_property(klass, id++, property.spec);
  return id;
}
