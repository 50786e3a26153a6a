// Section E: buffers and metadata.
#include <algorithm>
#include <cstdlib>
#include <future>

#include "gstlivepeerpixels.h"
#include "gstlivepeerscaler.h"
#include "support.h"
#include "support/large_blocks.h"

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

POINT(E3_a_frame_takes_one_block_for_its_pixels_and_one_for_its_picture) {
  for (const char *format : {"RGB", "BGRx", "GBR", "I420", "P010_10LE"}) {
    const std::string caps = std::string("format=") + format + ",width=64,height=48";
    const GstVideoInfo info = info_of(caps);
    const size_t pixels = 64 * 48 * 3 * (gst_livepeer_is_plain_rgb(info) ? 1 : 2);
    GstHarness *h = harness_new(caps);
    // Settings, too, would be blocks if they were copied.
    g_object_set(h->element, "prompt", std::string(pixels, 'x').c_str(), nullptr);
    for (unsigned i = 0; i < 6; ++i) {
      GstBuffer *in = gst_buffer_new_allocate(nullptr, GST_VIDEO_INFO_SIZE(&info), nullptr);
      gst_buffer_memset(in, 0, guint8(40 + i), GST_VIDEO_INFO_SIZE(&info));
      GST_BUFFER_PTS(in) = i * GST_SECOND;
      const livepeer::test::LargeBlocks blocks(pixels);
      gst_buffer_unref(gst_harness_push_and_pull(h, in));
      if (i > 2) fail_unless_equals_int(blocks.count(), 2);
    }
    gst_harness_teardown(h);
  }
}

POINT(E4_a_picture_that_is_lent_is_never_written_to) {
  const std::string in = "format=RGB,width=16,height=12";
  const GstVideoInfo out = info_of("format=RGB,width=64,height=48");
  GstHarness *h = harness_new(in);
  // The same picture again and again, and who gets it draws over it.
  for (unsigned i = 0; i < 3; ++i) {
    GstBuffer *buffer = gst_harness_push_and_pull(h, pattern_new(info_of(in), i * GST_SECOND));
    fail_unless(gst_buffer_is_writable(buffer));
    fail_unless(GST_MEMORY_IS_READONLY(gst_buffer_peek_memory(buffer, 0)));
    expect_pattern(buffer, out);
    fail_unless(gst_buffer_memset(buffer, 0, 0xee, gst_buffer_get_size(buffer)) == out.size);
    gst_buffer_unref(buffer);
  }
  gst_harness_teardown(h);
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

POINT(E10_an_unreadable_buffer_is_an_error) {
  BusHarness test("format=RGB,width=16,height=16");
  fail_unless(gst_harness_push(test.h, gst_buffer_new_allocate(nullptr, 10, nullptr)) ==
              GST_FLOW_ERROR);
  expect_error(test.bus, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED);
}

POINT(E10_a_video_meta_larger_than_the_caps_is_an_error) {
  for (const char *format : {"RGB", "BGRA", "GBR"}) {
    const std::string fields = std::string("format=") + format;
    BusHarness test(fields + ",width=16,height=12");
    fail_unless(gst_harness_push(test.h, padded(info_of(fields + ",width=300,height=200"), 0)) ==
                GST_FLOW_ERROR);
    expect_error(test.bus, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT);
  }
}

namespace {

/// Answers the allocation query with a pool of padded, limited buffers.
GstPadProbeReturn propose_pool(GstPad *, GstPadProbeInfo *info, gpointer pool) {
  GstQuery *query = GST_PAD_PROBE_INFO_QUERY(info);
  if (GST_QUERY_TYPE(query) != GST_QUERY_ALLOCATION) return GST_PAD_PROBE_OK;
  GstCaps *caps = nullptr;
  gst_query_parse_allocation(query, &caps, nullptr);
  GstVideoInfo video;
  fail_unless(gst_video_info_from_caps(&video, caps));
  gst_query_add_allocation_pool(query, GST_BUFFER_POOL(pool), guint(GST_VIDEO_INFO_SIZE(&video)), 2,
                                2);
  gst_query_add_allocation_meta(query, GST_VIDEO_META_API_TYPE, nullptr);
  GstStructure *config = gst_buffer_pool_get_config(GST_BUFFER_POOL(pool));
  GstVideoAlignment alignment;
  gst_video_alignment_reset(&alignment);
  alignment.padding_left = 32;
  alignment.padding_right = 5;
  alignment.padding_bottom = 3;
  gst_buffer_pool_config_set_params(config, caps, guint(GST_VIDEO_INFO_SIZE(&video)), 2, 2);
  gst_buffer_pool_config_add_option(config, GST_BUFFER_POOL_OPTION_VIDEO_META);
  gst_buffer_pool_config_add_option(config, GST_BUFFER_POOL_OPTION_VIDEO_ALIGNMENT);
  gst_buffer_pool_config_set_video_alignment(config, &alignment);
  fail_unless(gst_buffer_pool_set_config(GST_BUFFER_POOL(pool), config));
  return GST_PAD_PROBE_HANDLED;
}

/// A harness whose downstream lends two buffers of `pool`, for frames of pool_frame.
GstHarness *pool_harness_new(GstBufferPool *pool) {
  GstHarness *h = harness_new("");
  gst_pad_add_probe(h->sinkpad, GST_PAD_PROBE_TYPE_QUERY_DOWNSTREAM, propose_pool, pool, nullptr);
  gst_harness_set_src_caps_str(h, raw_caps("format=RGB,width=7,height=5").c_str());
  return h;
}

GstBuffer *pool_frame(unsigned i) {
  return pattern_new(info_of("format=RGB,width=7,height=5"), i * GST_SECOND, i);
}

}  // namespace

POINT(E4_downstreams_pool_is_used_and_waited_for) {
  GstBufferPool *pool = gst_video_buffer_pool_new();
  GstHarness *h = pool_harness_new(pool);
  for (unsigned i = 0; i < 2; ++i) fail_unless_equals_int(gst_harness_push(h, pool_frame(i)), 0);
  // The pool is dry now; a third frame waits until one comes back.
  auto pushed = std::async(std::launch::async, [=] { return gst_harness_push(h, pool_frame(2)); });
  fail_unless(pushed.wait_for(std::chrono::milliseconds(50)) == std::future_status::timeout);
  for (unsigned i = 0; i < 3; ++i) {
    GstBuffer *buffer = gst_harness_pull(h);
    fail_unless(buffer->pool == pool);
    expect_pattern(buffer, info_of("format=RGB,width=28,height=20"), i);
    gst_buffer_unref(buffer);
  }
  fail_unless_equals_int(pushed.get(), 0);
  gst_harness_teardown(h);
  gst_object_unref(pool);
}

POINT(E4_a_wait_for_the_pool_ends_with_a_flush_and_with_a_change_of_state) {
  for (const bool flush : {true, false}) {
    expect_within(kAtOnce, [=] {
      GstBufferPool *pool = gst_video_buffer_pool_new();
      GstHarness *h = pool_harness_new(pool);
      auto waiting = std::async(std::launch::async, [=] {
        GstFlowReturn flow = GST_FLOW_OK;
        for (unsigned i = 0; flow == GST_FLOW_OK; ++i) flow = gst_harness_push(h, pool_frame(i));
        return flow;
      });
      // Two buffers are all there are, so the third frame has none.
      wait_until([=] { return stat(h->element, "inferred") == 3; });
      fail_unless(waiting.wait_for(std::chrono::milliseconds(50)) == std::future_status::timeout);
      const auto start = Clock::now();
      if (flush)
        gst_harness_push_event(h, gst_event_new_flush_start());
      else
        gst_element_set_state(h->element, GST_STATE_NULL);
      fail_unless_equals_int(waiting.get(), GST_FLOW_FLUSHING);
      const double took = elapsed_ms(start);
      if (flush) {
        gst_harness_push_event(h, gst_event_new_flush_stop(TRUE));
        GstSegment segment;
        gst_segment_init(&segment, GST_FORMAT_TIME);
        gst_harness_push_event(h, gst_event_new_segment(&segment));
        while (GstBuffer *buffer = gst_harness_try_pull(h)) gst_buffer_unref(buffer);
        fail_unless_equals_int(gst_harness_push(h, pool_frame(9)), 0);
      }
      gst_harness_teardown(h);
      gst_object_unref(pool);
      return took;
    });
  }
}

POINT(E9_alpha_is_scaled_and_invisible_colours_do_not_bleed) {
  engine->radius = 1;  // the fake engine spreads the brightest colour by one pixel
  const GstVideoInfo info = info_of("format=RGBA,width=16,height=8");
  GstBuffer *in = gst_buffer_new_allocate(nullptr, GST_VIDEO_INFO_SIZE(&info), nullptr);
  GstMapInfo map;
  fail_unless(gst_buffer_map(in, &map, GST_MAP_WRITE));
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 16; ++x) {
      const bool visible = x < 8;  // left: grey 50; right: white, but not to be seen
      guint8 *pixel = map.data + (y * 16 + x) * 4;
      pixel[0] = pixel[1] = pixel[2] = visible ? 50 : 255;
      pixel[3] = visible ? 255 : 0;
    }
  }
  gst_buffer_unmap(in, &map);
  GST_BUFFER_PTS(in) = 0;
  GstHarness *h = harness_new("format=RGBA,width=16,height=8");
  GstBuffer *out = gst_harness_push_and_pull(h, in);
  fail_unless(gst_buffer_map(out, &map, GST_MAP_READ));
  for (int y = 0; y < 32; ++y) {
    const guint8 *row = map.data + y * 64 * 4;
    for (int x = 0; x < 64; ++x) fail_if(row[x * 4] != 50, "(%d, %d) is %d", x, y, row[x * 4]);
    fail_unless(row[3] == 255 && row[63 * 4 + 3] == 0);
    fail_unless(row[31 * 4 + 3] > row[32 * 4 + 3]);
  }
  gst_buffer_unmap(out, &map);
  gst_buffer_unref(out);
  gst_harness_teardown(h);
}

POINT(E11_the_gap_flag_decides_nothing) {
  GstHarness *h = harness_new("format=RGB,width=8,height=6");
  const GstVideoInfo info = info_of("format=RGB,width=8,height=6");
  gst_buffer_unref(gst_harness_push_and_pull(h, pattern_new(info, 0)));
  GstBuffer *gap = pattern_new(info, GST_SECOND, 7);
  GST_BUFFER_FLAG_SET(gap, GST_BUFFER_FLAG_GAP);
  GstBuffer *out = gst_harness_push_and_pull(h, gap);
  fail_unless_equals_uint64(GST_BUFFER_PTS(out), GST_SECOND);
  expect_pattern(out, info_of("format=RGB,width=32,height=24"), 7);
  fail_if(GST_BUFFER_FLAG_IS_SET(out, GST_BUFFER_FLAG_GAP), "it has a real picture now");
  gst_buffer_unref(out);
  fail_unless_equals_int(engine->upscales, 2);
  gst_harness_teardown(h);
}

namespace {

/// A ramp along the longer side, black to white, `components` bytes a pixel.
std::vector<guint8> ramp(int width, int height, int components) {
  std::vector<guint8> pixels(size_t(width) * size_t(height) * size_t(components));
  for (size_t i = 0; i < pixels.size(); ++i) {
    const size_t pixel = i / size_t(components), x = pixel % size_t(width);
    const size_t at = width > height ? x : pixel / size_t(width);
    pixels[i] = guint8(at * 255 / size_t(std::max(width, height) - 1));
  }
  return pixels;
}

}  // namespace

POINT(E2_plain_scaling_between_long_sides) {
  for (const auto &[width, height] : {std::pair(65535, 2), {2, 65535}, {9000, 100}}) {
    const int small_width = std::max(1, width / 32), small_height = std::max(1, height / 32);
    for (const bool from_small : {false, true}) {
      const int in_width = from_small ? small_width : width;
      const int in_height = from_small ? small_height : height;
      for (const GstVideoFormat format : {GST_VIDEO_FORMAT_RGB, GST_VIDEO_FORMAT_GRAY8}) {
        const int components = format == GST_VIDEO_FORMAT_RGB ? 3 : 1;
        GstLivepeerScaler *scaler =
            gst_livepeer_scaler_new(format, in_width, in_height, 4 * width, 4 * height);
        fail_unless(scaler != nullptr);
        const std::vector<guint8> in = ramp(in_width, in_height, components);
        const std::vector<guint8> wanted = ramp(4 * width, 4 * height, components);
        std::vector<guint8> out(wanted.size());
        fail_unless(gst_livepeer_scaler_process(scaler, in.data(), out.data()));
        gst_livepeer_scaler_free(scaler);
        int worst = 0;
        for (size_t i = 0; i < out.size(); ++i)
          worst = std::max(worst, std::abs(int(out[i]) - int(wanted[i])));
        fail_unless(worst <= 2, "%d to %d: %d", in_width, 4 * width, worst);
      }
    }
  }
}

int main() { return run_suite("buffers"); }
