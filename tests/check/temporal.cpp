// Section J: temporal behaviour.
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

int main() { return run_suite("temporal"); }
