// Section D: negotiation.
#include <gst/base/gstbasetransform.h>

#include <cstring>

#include "gstlivepeercaps.h"
#include "support.h"

namespace {

/// What the helper library makes of caps, as text.
std::string transformed(GstPadDirection direction, const std::string &text) {
  GstCaps *caps = gst_caps_from_string(text.c_str());
  GstCaps *result = gst_livepeer_upscale_transform_caps(direction, caps);
  gchar *string = gst_caps_to_string(result);
  const std::string copy = string;
  g_free(string);
  gst_caps_unref(result);
  gst_caps_unref(caps);
  return copy;
}

/// Compares as text: gst_caps_is_equal cannot compare all lists that hold ranges.
void expect_caps(const std::string &got, const std::string &wanted) {
  GstCaps *caps = gst_caps_from_string(wanted.c_str());
  gchar *text = gst_caps_to_string(caps);
  fail_unless(got == text, "%s is not %s", got.c_str(), text);
  g_free(text);
  gst_caps_unref(caps);
}

void expect_up(const char *in, const char *out) {
  expect_caps(transformed(GST_PAD_SINK, std::string("video/x-raw,") + in),
              std::string("video/x-raw,") + out);
}

/// Of input that may be interlaced for all that the caps say, the progressive comes first.
void expect_down(const char *in, const std::string &out) {
  expect_caps(transformed(GST_PAD_SRC, std::string("video/x-raw,") + in),
              "video/x-raw," + out + ",interlace-mode=progressive;video/x-raw," + out +
                  ";video/x-raw(format:Interlaced)," + out + ",interlace-mode=alternate");
}

bool accepts(const char *caps_text) {
  GstElement *element = element_new();
  GstPad *pad = gst_element_get_static_pad(element, "sink");
  GstCaps *caps = gst_caps_from_string(caps_text);
  const bool accepted = gst_pad_query_accept_caps(pad, caps);
  gst_caps_unref(caps);
  gst_object_unref(pad);
  gst_object_unref(element);
  return accepted;
}

/// The caps that come out for caps that go in; "" when they are refused.
std::string negotiated(const std::string &caps) {
  GstHarness *h = harness_new("");
  gst_harness_set_src_caps_str(h, caps.c_str());
  GstCaps *out = gst_pad_get_current_caps(h->sinkpad);
  std::string result;
  if (out) {
    gchar *text = gst_caps_to_string(out);
    result = text;
    g_free(text);
    gst_caps_unref(out);
  }
  gst_harness_teardown(h);
  return result;
}

}  // namespace

POINT(D1_sizes_in_both_directions) {
  expect_up("width=161,height=91", "width=644,height=364");
  expect_up("width=[1,100],height=5", "width=[4,400,4],height=20");
  expect_up("width=[8,64,8],height=5", "width=[32,256,32],height=20");
  expect_up("width={2,7,[10,12]},height=1", "width={8,28,[40,48,4]},height=4");
  expect_up("width=[1,2147483647],height=1", "width=[4,2147483644,4],height=4");
  expect_down("width=1920,height=1080", "width=480,height=270");
  expect_down("width=[1,1921],height=1080", "width=[1,480],height=270");
  expect_down("width=[5,8],height=8", "width=2,height=2");
  expect_down("width=[8,32,8],height=8", "width=[2,8,2],height=2");
  expect_down("width=[6,48,6],height=8", "width=[3,12,3],height=2");
  expect_down("width={8,9,12},height=8", "width={2,3},height=2");
  expect_down("width=[1,2147483647],height=4", "width=[1,536870911],height=1");
  for (const char *sizes : {"width=10,height=8", "width=[5,7],height=8", "width=8,height={6,7}",
                            "width=[2147483646,2147483647],height=8"})
    fail_unless(transformed(GST_PAD_SRC, std::string("video/x-raw,") + sizes) == "EMPTY");
}

POINT(D2_templates_describe_each_other) {
  GstElement *element = element_new();
  GstPad *sink = gst_element_get_static_pad(element, "sink");
  GstPad *src = gst_element_get_static_pad(element, "src");
  GstCaps *sink_template = gst_pad_get_pad_template_caps(sink);
  GstCaps *src_template = gst_pad_get_pad_template_caps(src);
  GstCaps *up = gst_livepeer_upscale_transform_caps(GST_PAD_SINK, sink_template);
  GstCaps *down = gst_livepeer_upscale_transform_caps(GST_PAD_SRC, src_template);
  fail_unless(gst_caps_is_equal(up, src_template));
  fail_unless(gst_caps_is_equal(down, sink_template));
  GstCaps *sink_query = gst_pad_query_caps(sink, nullptr);
  GstCaps *src_query = gst_pad_query_caps(src, nullptr);
  fail_unless(gst_caps_is_equal(sink_query, sink_template));
  fail_unless(gst_caps_is_equal(src_query, src_template));
  for (GstCaps *caps : {sink_template, src_template, up, down, sink_query, src_query})
    gst_caps_unref(caps);
  gst_object_unref(sink);
  gst_object_unref(src);
  gst_object_unref(element);
}

POINT(D3_downstream_chooses_the_size) {
  GstElement *pipeline = pipeline_new(
      "videotestsrc num-buffers=2 ! videoscale ! videoconvert ! livepeerupscale "
      "safety-check=false name=up ! video/x-raw,width=1920,height=1080 ! fakesink");
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  expect_eos(pipeline);
  GstElement *up = gst_bin_get_by_name(GST_BIN(pipeline), "up");
  GstPad *pad = gst_element_get_static_pad(up, "sink");
  GstCaps *caps = gst_pad_get_current_caps(pad);
  gint width = 0, height = 0;
  gst_structure_get(gst_caps_get_structure(caps, 0), "width", G_TYPE_INT, &width, "height",
                    G_TYPE_INT, &height, nullptr);
  fail_unless(width == 480 && height == 270);
  gst_caps_unref(caps);
  gst_object_unref(pad);
  gst_object_unref(up);
  pipeline_free(pipeline);
}

POINT(D4_other_fields_pass_unchanged) {
  for (const char *fields : {"framerate=0/1", "framerate=30000/1001,pixel-aspect-ratio=12/11",
                             "framerate=25/1,max-framerate=50/1",
                             "framerate=25/1,colorimetry=1:1:5:1,multiview-mode=mono,my-field=7"}) {
    const std::string common = std::string("video/x-raw,format=RGB,") + fields;
    const std::string out = negotiated(common + ",width=161,height=91");
    fail_unless(!out.empty(), "%s was refused", fields);
    expect_caps(out, common + ",width=644,height=364");
  }
  for (const char *size : {"width=1,height=1", "width=1,height=91", "width=3,height=2"})
    fail_unless(!negotiated(raw_caps(std::string("format=RGB,") + size)).empty());
}

POINT(D5_only_progressive) {
  expect_up("interlace-mode=progressive,width=1,height=1",
            "interlace-mode=progressive,width=4,height=4");
  expect_up("interlace-mode={interleaved,progressive},width=1,height=1",
            "interlace-mode=progressive,width=4,height=4");
  expect_up("interlace-mode=interleaved,field-order=top-field-first,width=1,height=1",
            "interlace-mode=progressive,width=4,height=4");
  expect_down("interlace-mode=progressive,width=4,height=4", "width=1,height=1");
  fail_unless(transformed(GST_PAD_SRC, "video/x-raw,interlace-mode=mixed,width=4,height=4") ==
              "EMPTY");
}

namespace {

/// Expects the bus to tell what to do about interlaced video.
void expect_deinterlace(GstBus *bus) {
  GstMessage *message = wait_message(bus, GST_MESSAGE_ERROR);
  GError *error = nullptr;
  gst_message_parse_error(message, &error, nullptr);
  fail_unless(g_error_matches(error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT));
  fail_unless(strstr(error->message, "deinterlace"), "%s", error->message);
  g_clear_error(&error);
  gst_message_unref(message);
}

}  // namespace

POINT(D5_interlaced_video_is_refused_with_words) {
  for (const char *mode : {"interleaved", "fields", "alternate"}) {
    BusHarness test("");
    const std::string caps =
        std::string(g_str_equal(mode, "alternate") ? "video/x-raw(format:Interlaced)"
                                                   : "video/x-raw") +
        ",framerate=25/1,format=RGB,width=8,height=8,interlace-mode=" + mode;
    gst_harness_set_src_caps_str(test.h, caps.c_str());
    expect_deinterlace(test.bus);
  }
}

POINT(D5_mixed_video_runs_until_a_frame_is_interlaced) {
  const std::string fields = "format=RGB,width=8,height=6";
  BusHarness test(fields + ",interlace-mode=mixed");
  GstCaps *caps = gst_pad_get_current_caps(test.h->sinkpad);
  fail_unless_equals_string(
      gst_structure_get_string(gst_caps_get_structure(caps, 0), "interlace-mode"), "progressive");
  gst_caps_unref(caps);
  for (unsigned i = 0; i < 3; ++i) {
    GstBuffer *out =
        gst_harness_push_and_pull(test.h, pattern_new(info_of(fields), i * GST_SECOND, i));
    expect_pattern(out, info_of("format=RGB,width=32,height=24"), i);
    gst_buffer_unref(out);
  }
  GstBuffer *interlaced = pattern_new(info_of(fields), 3 * GST_SECOND);
  GST_BUFFER_FLAG_SET(interlaced, GST_VIDEO_BUFFER_FLAG_INTERLACED);
  fail_unless_equals_int(gst_harness_push(test.h, interlaced), GST_FLOW_ERROR);
  expect_deinterlace(test.bus);
}

POINT(D7_only_system_memory) {
  const char *text = "video/x-raw(memory:GLMemory),format=RGBA,width=8,height=8,framerate=25/1";
  fail_unless(transformed(GST_PAD_SINK, text) == "EMPTY");
  fail_if(accepts(text));
}

POINT(D8_accepted_formats) {
  // All that GStreamer knows, but for palettes, and layouts that it does not write.
  guint count = 0;
  const GstVideoFormat *formats = gst_video_formats_raw(&count);
  fail_unless(count > 100);
  for (guint i = 0; i < count; ++i) {
    const std::string format = gst_video_format_to_string(formats[i]);
    const bool refused = format == "RGB8P" || format == "NV12_8L128" ||
                         format == "NV12_10BE_8L128" || format == "MT2110T" || format == "MT2110R";
    fail_unless(accepts(raw_caps("width=8,height=8,format=" + format).c_str()) != refused, "%s",
                format.c_str());
  }
  fail_if(accepts("image/png"));
  fail_if(accepts("video/x-h264"));
}

POINT(D9_new_caps_wait_for_the_frames_before) {
  GstHarness *h = harness_new("format=RGB,width=8,height=6", "max-in-flight=4");
  engine->step_time = std::chrono::milliseconds(20);
  const GstVideoInfo before = info_of("format=RGB,width=8,height=6");
  const GstVideoInfo after = info_of("format=BGRA,width=5,height=7");
  for (unsigned i = 0; i < 3; ++i)
    fail_unless(gst_harness_push(h, pattern_new(before, i * GST_SECOND, i)) == GST_FLOW_OK);
  gst_harness_set_src_caps_str(h, raw_caps("format=BGRA,width=5,height=7").c_str());
  for (unsigned i = 3; i < 6; ++i)
    fail_unless(gst_harness_push(h, pattern_new(after, i * GST_SECOND, i)) == GST_FLOW_OK);
  fail_unless(gst_harness_push_event(h, gst_event_new_eos()));
  for (unsigned i = 0; i < 6; ++i) {
    GstBuffer *buffer = gst_harness_pull(h);
    fail_unless_equals_uint64(GST_BUFFER_PTS(buffer), i * GST_SECOND);
    expect_pattern(
        buffer, info_of(i < 3 ? "format=RGB,width=32,height=24" : "format=BGRA,width=20,height=28"),
        i);
    gst_buffer_unref(buffer);
  }
  gst_harness_teardown(h);
}

POINT(D10_reconfigure_drains_first) {
  GstHarness *h = harness_new("format=RGB,width=8,height=6", "max-in-flight=4");
  const GstVideoInfo info = info_of("format=RGB,width=8,height=6");
  engine->step_time = std::chrono::milliseconds(20);
  for (unsigned i = 0; i < 3; ++i) gst_harness_push(h, pattern_new(info, i * GST_SECOND, i));
  fail_unless(gst_harness_push_upstream_event(h, gst_event_new_reconfigure()));
  gst_harness_push(h, pattern_new(info, 3 * GST_SECOND, 3));
  fail_unless(gst_harness_buffers_in_queue(h) >= 3);
  gst_harness_push_event(h, gst_event_new_eos());
  for (unsigned i = 0; i < 4; ++i) {
    GstBuffer *buffer = gst_harness_pull(h);
    expect_pattern(buffer, info_of("format=RGB,width=32,height=24"), i);
    gst_buffer_unref(buffer);
  }
  gst_harness_teardown(h);
}

POINT(D11_never_passthrough_and_never_in_place) {
  GstHarness *h = harness_new("format=RGB,width=8,height=6");
  GstBaseTransform *trans = GST_BASE_TRANSFORM(h->element);
  fail_if(gst_base_transform_is_passthrough(trans));
  fail_if(gst_base_transform_is_in_place(trans));
  gst_harness_teardown(h);
}

POINT(E5_video_meta_is_offered_upstream) {
  GstHarness *h = harness_new("format=RGB,width=8,height=6");
  GstCaps *caps = gst_pad_get_current_caps(h->srcpad);
  GstQuery *query = gst_query_new_allocation(caps, TRUE);
  fail_unless(gst_pad_peer_query(h->srcpad, query));
  fail_unless(gst_query_find_allocation_meta(query, GST_VIDEO_META_API_TYPE, nullptr));
  gst_query_unref(query);
  gst_caps_unref(caps);
  gst_harness_teardown(h);
}

POINT(D12_H4_too_large_a_frame_is_refused_once_with_numbers) {
  {
    BusHarness test("format=RGB,width=10,height=10", "max-pixels=99");
    GstMessage *message = wait_message(test.bus, GST_MESSAGE_ERROR);
    GError *error = nullptr;
    gchar *debug = nullptr;
    gst_message_parse_error(message, &error, &debug);
    fail_unless(g_error_matches(error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT));
    fail_unless(strstr(debug, "10x10") && strstr(debug, "99"), "%s", debug);
    g_clear_error(&error);
    g_free(debug);
    gst_message_unref(message);
    // H4: once, although the base offers the same caps with every buffer.
    for (unsigned i = 0; i < 3; ++i)
      fail_unless(gst_harness_push(test.h, pattern_new(info_of("format=RGB,width=10,height=10"),
                                                       i * GST_SECOND)) != GST_FLOW_OK);
    message = gst_bus_pop_filtered(test.bus, GST_MESSAGE_ERROR);
    fail_unless(message == nullptr, "the same refusal is told again");
    // Others are news, and good ones go through.
    gst_harness_set_src_caps_str(test.h, raw_caps("format=RGB,width=11,height=10").c_str());
    expect_error(test.bus, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT);
    gst_harness_set_src_caps_str(test.h, raw_caps("format=RGB,width=9,height=10").c_str());
    fail_unless_equals_int(
        gst_harness_push(test.h, pattern_new(info_of("format=RGB,width=9,height=10"), 0)), 0);
  }
  engine->upscales = 0;
  // Too much memory: the model says how much a frame takes, and the budget is less.
  BusHarness test("format=RGB,width=10,height=10", "memory-budget=1000");
  gst_harness_push(test.h, pattern_new(info_of("format=RGB,width=10,height=10"), 0));
  expect_error(test.bus, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT);
  fail_unless_equals_int(engine->upscales, 0);
}

POINT(D12_long_sides_are_no_hindrance) {
  for (const auto &[width, height] : {std::pair(9000, 100), {100, 9000}, {65535, 1}, {1, 65535}}) {
    for (const char *format : {"RGB", "GBRA"}) {
      const auto fields = [format = format](int w, int h) {
        return std::string("format=") + format + ",width=" + std::to_string(w) +
               ",height=" + std::to_string(h);
      };
      GstHarness *h = harness_new(fields(width, height));
      GstBuffer *out = gst_harness_push_and_pull(h, pattern_new(info_of(fields(width, height)), 0));
      expect_pattern(out, info_of(fields(4 * width, 4 * height)));
      gst_buffer_unref(out);
      gst_harness_teardown(h);
    }
  }
  fail_if(accepts(raw_caps("format=RGB,width=65536,height=1").c_str()));
}

POINT(D12_max_pixels_alone_decides) {
  const std::string caps = "format=RGB,width=9000,height=10";
  {
    BusHarness test(caps, "max-pixels=89999");
    expect_error(test.bus, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT);
  }
  {
    BusHarness test(caps, "max-pixels=90000");
    fail_unless_equals_int(gst_harness_push(test.h, pattern_new(info_of(caps), 0)), 0);
  }
  // What GStreamer cannot describe is refused with words, too: the frame, and what it would become.
  for (const char *sides : {"width=65535,height=65535", "width=20000,height=20000"}) {
    BusHarness test(std::string("format=RGB,") + sides, "max-pixels=18446744073709551615");
    expect_error(test.bus, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT);
  }
}

int main() { return run_suite("negotiation"); }
