// Sections J, temporal behaviour, and K, safety check.
#include <cstring>

#include "support.h"

namespace {

const char *const kSmall = "format=RGB,width=40,height=30";
const char *const kSmallOut = "format=RGB,width=160,height=120";

GstBuffer *frame(unsigned i, unsigned variant) {
  return pattern_new(info_of(kSmall), i * GST_SECOND, variant);
}

bool equal(GstBuffer *a, GstBuffer *b) {
  GstMapInfo map;
  fail_unless(gst_buffer_map(a, &map, GST_MAP_READ));
  const bool same =
      gst_buffer_get_size(b) == map.size && gst_buffer_memcmp(b, 0, map.data, map.size) == 0;
  gst_buffer_unmap(a, &map);
  return same;
}

guint flags_of(GstBuffer *buffer) { return gst_buffer_get_livepeer_upscale_meta(buffer)->flags; }

}  // namespace

POINT(J1_the_first_frame_after_a_cut_is_as_if_alone) {
  engine->radius = 3;
  GstHarness *alone = harness_new(kSmall, "reuse-threshold=200"), *cut = harness_new(kSmall);
  gst_buffer_unref(gst_harness_push_and_pull(cut, frame(0, 0)));
  GstBuffer *a = gst_harness_push_and_pull(alone, frame(1, 90));
  GstBuffer *b = gst_harness_push_and_pull(cut, frame(1, 90));
  fail_unless(equal(a, b));
  gst_buffer_unref(a);
  gst_buffer_unref(b);
  gst_harness_teardown(cut);
  gst_harness_teardown(alone);
}

POINT(J1_discontinuities_drop_what_was_before) {
  // With so high a threshold anything is reused, unless the frames before are forgotten.
  GstHarness *h = harness_new(kSmall, "reuse-threshold=255");
  unsigned i = 0;
  const auto inferred = [&](GstBuffer *buffer) {
    GstBuffer *out = gst_harness_push_and_pull(h, buffer);
    const bool is = flags_of(out) == GST_LIVEPEER_UPSCALE_INFERRED;
    gst_buffer_unref(out);
    return is;
  };
  const auto next = [&] {
    ++i;
    return frame(i, i);
  };
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  fail_unless(inferred(next()));
  fail_if(inferred(next()));

  GstBuffer *discont = next();
  GST_BUFFER_FLAG_SET(discont, GST_BUFFER_FLAG_DISCONT);
  fail_unless(inferred(discont), "DISCONT");
  fail_if(inferred(next()));

  gst_harness_push_event(h, gst_event_new_flush_start());
  gst_harness_push_event(h, gst_event_new_flush_stop(TRUE));
  gst_harness_push_event(h, gst_event_new_segment(&segment));
  fail_unless(inferred(next()), "flush");
  fail_if(inferred(next()));

  gst_harness_push_event(h, gst_event_new_segment(&segment));
  fail_unless(inferred(next()), "segment");
  fail_if(inferred(next()));

  g_object_set(h->element, "prompt", "other", nullptr);
  fail_unless(inferred(next()), "prompt");
  fail_if(inferred(next()));

  gst_harness_set_src_caps_str(h, raw_caps("format=BGR,width=40,height=30").c_str());
  fail_unless(inferred(next()), "caps");
  gst_harness_teardown(h);
}

POINT(J2_a_still_picture_is_inferred_once) {
  for (const char *depth : {"max-in-flight=1", "max-in-flight=5"}) {
    engine->upscales = 0;
    GstHarness *h = harness_new(kSmall, depth);
    for (unsigned i = 0; i < 30; ++i) gst_harness_push(h, frame(i, 3));
    gst_harness_push_event(h, gst_event_new_eos());
    for (unsigned i = 0; i < 30; ++i) {
      GstBuffer *out = gst_harness_pull(h);
      fail_unless_equals_uint64(GST_BUFFER_PTS(out), i * GST_SECOND);
      expect_pattern(out, info_of(kSmallOut), 3);
      gst_buffer_unref(out);
    }
    fail_unless_equals_int(engine->upscales, 1);
    fail_unless_equals_uint64(stat(h->element, "inferred"), 1);
    fail_unless_equals_uint64(stat(h->element, "reused"), 29);
    gst_harness_teardown(h);
  }
}

POINT(J2_reuse_can_be_turned_off) {
  for (const char *off : {"reuse-threshold=-1", "temporal=off"}) {
    engine->upscales = 0;
    GstHarness *h = harness_new(kSmall, off);
    for (unsigned i = 0; i < 5; ++i) gst_harness_push(h, frame(i, 3));
    fail_unless_equals_int(engine->upscales, 5);
    gst_harness_teardown(h);
  }
}

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

POINT(K2_unchecked_frames_never_pass) {
  // Turned on while running, where the model was opened without a checker.
  engine->has_checker = false;
  BusHarness test(kSmall);
  fail_unless_equals_int(gst_harness_push(test.h, frame(0, 0)), 0);
  g_object_set(test.h->element, "safety-check", TRUE, nullptr);
  fail_unless_equals_int(gst_harness_push(test.h, frame(1, 1)), GST_FLOW_ERROR);
  expect_error(test.bus, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS);
}

int main() { return run_suite("temporal"); }
