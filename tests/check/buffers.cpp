// Section E: buffers and metadata.
#include "support.h"

namespace {

const char *const kFormats[] = {"RGB",  "BGR",  "RGBA", "BGRA", "ARGB", "ABGR", "RGBx",
                                "BGRx", "xRGB", "xBGR", "GBR",  "GBRA", "RGBP", "BGRP"};

/// The same picture in a buffer with an offset and rows that are further apart, told by video meta.
GstBuffer *padded(const GstVideoInfo &info, GstClockTime pts) {
  GstVideoInfo wide = info;
  GstVideoAlignment alignment;
  gst_video_alignment_reset(&alignment);
  alignment.padding_left = 16;
  alignment.padding_right = 13;
  alignment.padding_top = 3;
  alignment.padding_bottom = 2;
  fail_unless(gst_video_info_align(&wide, &alignment));
  GstBuffer *buffer = gst_buffer_new_allocate(nullptr, GST_VIDEO_INFO_SIZE(&wide), nullptr);
  gst_buffer_memset(buffer, 0, 0xee, GST_VIDEO_INFO_SIZE(&wide));
  gst_buffer_add_video_meta_full(buffer, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_INFO_FORMAT(&info),
                                 guint(info.width), guint(info.height),
                                 GST_VIDEO_INFO_N_PLANES(&info), wide.offset, wide.stride);
  GstBuffer *plain = pattern_new(info, pts);
  GstVideoFrame from, to;
  fail_unless(gst_video_frame_map(&from, &info, plain, GST_MAP_READ));
  fail_unless(gst_video_frame_map(&to, &info, buffer, GST_MAP_WRITE));
  gst_video_frame_copy(&to, &from);
  gst_video_frame_unmap(&from);
  gst_video_frame_unmap(&to);
  gst_buffer_unref(plain);
  GST_BUFFER_PTS(buffer) = pts;
  return buffer;
}

}  // namespace

POINT(E1_every_format_and_size_by_stride) {
  for (const char *format : kFormats) {
    for (const auto &[width, height] : {std::pair(1, 1), {2, 3}, {7, 5}, {37, 22}}) {
      const std::string fields = std::string("format=") + format;
      const std::string in =
          fields + ",width=" + std::to_string(width) + ",height=" + std::to_string(height);
      const std::string out =
          fields + ",width=" + std::to_string(4 * width) + ",height=" + std::to_string(4 * height);
      GstHarness *h = harness_new(in);
      for (const bool pad : {false, true}) {
        GstBuffer *buffer = gst_harness_push_and_pull(
            h, pad ? padded(info_of(in), 0) : pattern_new(info_of(in), 0));
        fail_unless(buffer != nullptr);
        expect_pattern(buffer, info_of(out));
        gst_buffer_unref(buffer);
      }
      gst_harness_teardown(h);
    }
  }
}

POINT(E6_timestamps_offsets_and_flags_are_the_inputs) {
  GstHarness *h = harness_new("format=RGB,width=4,height=4");
  const GstVideoInfo info = info_of("format=RGB,width=4,height=4");
  GstClockTime pts = 7;
  for (unsigned i = 0; i < 50; ++i) {
    GstBuffer *in = pattern_new(info, pts, i);
    pts += GST_MSECOND * (1 + i * i % 37) + i;
    GST_BUFFER_DTS(in) = i % 3 ? GST_BUFFER_PTS(in) / 2 : GST_CLOCK_TIME_NONE;
    GST_BUFFER_DURATION(in) = i % 4 ? i * GST_MSECOND : GST_CLOCK_TIME_NONE;
    GST_BUFFER_OFFSET(in) = 1000 + i;
    GST_BUFFER_OFFSET_END(in) = 1001 + i;
    if (i % 5 == 0) GST_BUFFER_FLAG_SET(in, GST_BUFFER_FLAG_DISCONT);
    if (i % 7 == 0) GST_BUFFER_FLAG_SET(in, GST_BUFFER_FLAG_DELTA_UNIT);
    if (i % 11 == 0) GST_BUFFER_FLAG_SET(in, GST_BUFFER_FLAG_MARKER);
    GstBuffer *kept = gst_buffer_ref(in);
    GstBuffer *out = gst_harness_push_and_pull(h, in);
    fail_unless_equals_uint64(GST_BUFFER_PTS(out), GST_BUFFER_PTS(kept));
    fail_unless_equals_uint64(GST_BUFFER_DTS(out), GST_BUFFER_DTS(kept));
    fail_unless_equals_uint64(GST_BUFFER_DURATION(out), GST_BUFFER_DURATION(kept));
    fail_unless_equals_uint64(GST_BUFFER_OFFSET(out), GST_BUFFER_OFFSET(kept));
    fail_unless_equals_uint64(GST_BUFFER_OFFSET_END(out), GST_BUFFER_OFFSET_END(kept));
    for (const GstBufferFlags flag :
         {GST_BUFFER_FLAG_DISCONT, GST_BUFFER_FLAG_DELTA_UNIT, GST_BUFFER_FLAG_MARKER})
      fail_unless_equals_int(GST_BUFFER_FLAG_IS_SET(out, flag), GST_BUFFER_FLAG_IS_SET(kept, flag));
    gst_buffer_unref(kept);
    gst_buffer_unref(out);
  }
  gst_harness_teardown(h);
}

POINT(E8_the_meta_tells_what_was_done_and_survives_copies) {
  GstHarness *h = harness_new("format=RGB,width=4,height=4", "seed=5 steps=3 prompt=sharp model=m");
  const GstVideoInfo info = info_of("format=RGB,width=4,height=4");
  GstBuffer *out = gst_harness_push_and_pull(h, pattern_new(info, 0));
  GstBuffer *copy = gst_buffer_copy(out);
  gst_buffer_unref(out);
  const GstLivepeerUpscaleMeta *meta = gst_buffer_get_livepeer_upscale_meta(copy);
  fail_unless(meta != nullptr);
  fail_unless_equals_uint64(meta->seed, 5);
  fail_unless_equals_int(int(meta->steps), 3);
  fail_unless_equals_string(meta->prompt, "sharp");
  fail_unless_equals_string(meta->model, "m");
  fail_unless_equals_int(meta->flags, GST_LIVEPEER_UPSCALE_INFERRED);
  gst_buffer_unref(copy);
  out = gst_harness_push_and_pull(h, pattern_new(info, GST_SECOND));
  fail_unless_equals_int(gst_buffer_get_livepeer_upscale_meta(out)->flags,
                         GST_LIVEPEER_UPSCALE_REUSED);
  gst_buffer_unref(out);
  gst_harness_teardown(h);
}

POINT(E10_an_unreadable_buffer_is_an_error) {
  BusHarness test("format=RGB,width=16,height=16");
  fail_unless(gst_harness_push(test.h, gst_buffer_new_allocate(nullptr, 10, nullptr)) ==
              GST_FLOW_ERROR);
  expect_error(test.bus, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED);
}

int main() { return run_suite("buffers"); }
