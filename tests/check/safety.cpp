// Section K: the safety check.
#include <set>

#include "support.h"

using namespace std::chrono_literals;

namespace {

const char *const kSmall = "format=RGB,width=40,height=30";
const char *const kSmallOut = "format=RGB,width=160,height=120";

GstBuffer *frame(unsigned i, unsigned variant) {
  return pattern_new(info_of(kSmall), i * 40 * GST_MSECOND, variant);
}

guint flags_of(GstBuffer *buffer) { return gst_buffer_get_livepeer_upscale_meta(buffer)->flags; }

/// Lets the element play since ten seconds, so that every frame after the first is late.
void make_late(GstHarness *h) {
  fail_unless_equals_int(gst_harness_push(h, frame(0, 0)), 0);
  while (GstBuffer *shown = gst_harness_try_pull(h)) gst_buffer_unref(shown);
  play_since_ten_seconds(h);
}

bool is_flagged(const livepeer::Frame &picture) {
  // The pattern's variant is the blue of its first pixel.
  return picture.pixels[2] >= 100;
}

}  // namespace

POINT(K1_a_flagged_frame_follows_the_action) {
  engine->nsfw_score = 0.9;
  for (const char *action : {"mark", "scale", "blur", "drop", "error"}) {
    BusHarness test(kSmall,
                    std::string("safety-check=true post-messages=true safety-action=") + action);
    const GstFlowReturn flow = gst_harness_push(test.h, frame(0, 0));
    GstBuffer *out = gst_harness_try_pull(test.h);
    if (g_str_equal(action, "error")) {
      fail_unless_equals_int(flow, GST_FLOW_ERROR);
      expect_error(test.bus, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED);
      continue;
    }
    fail_unless_equals_int(flow, GST_FLOW_OK);
    fail_unless_equals_uint64(stat(test.h->element, "flagged"), 1);
    if (g_str_equal(action, "drop")) {
      fail_unless(out == nullptr);
      continue;
    }
    const GstLivepeerUpscaleMeta *meta = gst_buffer_get_livepeer_upscale_meta(out);
    fail_unless(meta->flags & GST_LIVEPEER_UPSCALE_NSFW);
    fail_unless(meta->nsfw_score == 0.9);
    const bool mark = g_str_equal(action, "mark");
    fail_unless(!(meta->flags & GST_LIVEPEER_UPSCALE_SCALED) == mark);
    if (mark) expect_pattern(out, info_of(kSmallOut));
    GstMapInfo map;
    fail_unless(gst_buffer_map(out, &map, GST_MAP_READ));
    gulong sum = 0;
    int sharpest = 0;
    for (gsize i = 3; i < map.size; ++i) {
      sum += map.data[i];
      sharpest = MAX(sharpest, ABS(int(map.data[i]) - int(map.data[i - 3])));
    }
    fail_unless(sum / map.size > 10, "a black frame");
    if (g_str_equal(action, "blur")) fail_unless(sharpest < 40, "%d", sharpest);
    gst_buffer_unmap(out, &map);
    gst_buffer_unref(out);
    GstMessage *message;
    while (
        (message = gst_bus_pop_filtered(test.bus, GST_MESSAGE_ELEMENT)) &&
        !gst_structure_has_name(gst_message_get_structure(message), GST_LIVEPEER_UPSCALE_MESSAGE))
      gst_message_unref(message);
    gboolean nsfw = FALSE;
    gdouble score = 0;
    fail_unless(message &&
                gst_structure_get(gst_message_get_structure(message), "nsfw", G_TYPE_BOOLEAN, &nsfw,
                                  "nsfw-score", G_TYPE_DOUBLE, &score, nullptr));
    fail_unless(nsfw && score == 0.9);
    gst_message_unref(message);
  }
}

POINT(K2_late_and_repeated_frames_are_checked) {
  engine->score_of = [](const livepeer::Frame &picture) { return is_flagged(picture) ? 1.0 : 0.0; };
  for (const char *policy : {"scale", "repeat", "drop"}) {
    BusHarness test(kSmall,
                    std::string("safety-check=true safety-action=drop late-policy=") + policy);
    GstHarness *h = test.h;
    make_late(h);
    const int inferred = engine->upscales;
    for (unsigned i = 1; i <= 20; ++i)
      fail_unless_equals_int(gst_harness_push(h, frame(i, i % 2 ? 100 : 50)), 0);
    fail_unless_equals_int(engine->upscales, inferred);
    fail_unless_equals_uint64(stat(h->element, "late"), 20);
    // The clear ones between are of the same shot, so they do not flicker through.
    fail_unless(gst_harness_try_pull(h) == nullptr, "a flagged frame left under %s", policy);
    for (unsigned i = 60; i < 63; ++i) fail_unless_equals_int(gst_harness_push(h, frame(i, 50)), 0);
    int left = 0;
    while (GstBuffer *out = gst_harness_try_pull(h)) {
      fail_if(flags_of(out) & GST_LIVEPEER_UPSCALE_NSFW);
      gst_buffer_unref(out);
      ++left;
    }
    fail_unless_equals_int(left, g_str_equal(policy, "drop") ? 0 : 3);
  }
}

POINT(K2_trick_mode_frames_are_checked) {
  engine->score_of = [](const livepeer::Frame &picture) { return is_flagged(picture) ? 1.0 : 0.0; };
  GstHarness *h = harness_new(kSmall, "safety-check=true safety-action=blur");
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  segment.rate = 8;
  segment.flags = GST_SEGMENT_FLAG_TRICKMODE;
  gst_harness_push_event(h, gst_event_new_segment(&segment));
  GstBuffer *out = gst_harness_push_and_pull(h, frame(0, 0));
  fail_unless_equals_int(flags_of(out), GST_LIVEPEER_UPSCALE_SCALED);
  gst_buffer_unref(out);
  out = gst_harness_push_and_pull(h, frame(1, 100));
  fail_unless_equals_int(flags_of(out), GST_LIVEPEER_UPSCALE_SCALED | GST_LIVEPEER_UPSCALE_NSFW);
  gst_buffer_unref(out);
  fail_unless_equals_int(engine->upscales, 0);
  fail_unless_equals_int(engine->checks, 2);
  gst_harness_teardown(h);
}

POINT(K2_a_verdict_does_not_flicker) {
  int frames = 0;
  engine->score_of = [&](const livepeer::Frame &) { return ++frames % 5 == 1 ? 0.9 : 0.1; };
  GstHarness *h = harness_new(kSmall, "safety-check=true safety-action=mark");
  for (unsigned i = 0; i < 30; ++i) {
    GstBuffer *out = gst_harness_push_and_pull(h, frame(i, i));
    fail_unless(flags_of(out) & GST_LIVEPEER_UPSCALE_NSFW, "frame %u", i);
    gst_buffer_unref(out);
  }
  // Half a second after the last one that was flagged itself, frame 25.
  engine->score_of = [](const livepeer::Frame &) { return 0.1; };
  for (unsigned i = 30; i < 45; ++i) {
    GstBuffer *out = gst_harness_push_and_pull(h, frame(i, i));
    fail_unless(!(flags_of(out) & GST_LIVEPEER_UPSCALE_NSFW) == (i > 37), "frame %u", i);
    gst_buffer_unref(out);
  }
  gst_harness_teardown(h);
}

POINT(K2_what_cannot_be_checked_is_hidden_and_the_stream_goes_on) {
  // Turned on while running, where the model was opened without a checker.
  engine->has_checker = false;
  BusHarness test(kSmall);
  fail_unless_equals_int(gst_harness_push(test.h, frame(0, 0)), 0);
  gst_buffer_unref(gst_harness_pull(test.h));
  g_object_set(test.h->element, "safety-check", TRUE, nullptr);
  for (unsigned i = 1; i < 4; ++i) {
    fail_unless_equals_int(gst_harness_push(test.h, frame(i, i)), 0);
    GstBuffer *out = gst_harness_pull(test.h);
    fail_unless(flags_of(out) & GST_LIVEPEER_UPSCALE_SCALED);
    GstMapInfo map;
    fail_unless(gst_buffer_map(out, &map, GST_MAP_READ));
    std::set<guint8> reds;
    for (gsize x = 0; x < 160 * 3; x += 3) reds.insert(map.data[x]);
    fail_unless(reds.size() < 8, "%zu values in a row are no blur", reds.size());
    gst_buffer_unmap(out, &map);
    gst_buffer_unref(out);
  }
  GstMessage *warning = wait_message(test.bus, GST_MESSAGE_WARNING);
  GError *error = nullptr;
  gst_message_parse_warning(warning, &error, nullptr);
  fail_unless(g_error_matches(error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS));
  g_clear_error(&error);
  gst_message_unref(warning);
  fail_unless(gst_bus_pop_filtered(test.bus, GST_MESSAGE_WARNING) == nullptr, "once");
  g_object_set(test.h->element, "safety-action", 3, nullptr);  // drop
  fail_unless_equals_int(gst_harness_push(test.h, frame(9, 9)), 0);
  fail_unless(gst_harness_try_pull(test.h) == nullptr);
}

int main() { return run_suite("safety"); }
