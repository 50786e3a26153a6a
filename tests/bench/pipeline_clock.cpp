#include "pipeline_clock.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <vector>

namespace livepeer {
namespace {

constexpr int kPictures = 8;

GstBuffer *noise(const GstVideoInfo &info, std::minstd_rand &random) {
  GstBuffer *buffer = gst_buffer_new_allocate(nullptr, info.size, nullptr);
  GstMapInfo map;
  gst_buffer_map(buffer, &map, GST_MAP_WRITE);
  std::generate_n(map.data, map.size, [&] { return guint8(random() >> 8); });
  if (GST_VIDEO_INFO_HAS_ALPHA(&info))  // of a packed format
    for (gsize i = gsize(GST_VIDEO_INFO_COMP_POFFSET(&info, 3)); i < map.size;
         i += gsize(GST_VIDEO_INFO_COMP_PSTRIDE(&info, 3)))
      map.data[i] = 255;
  gst_buffer_unmap(buffer, &map);
  return buffer;
}

/// All frames and the end of the stream, before the pipeline plays.
void fill(GstElement *appsrc, GstVideoFormat format, int width, int height, int frames) {
  GstVideoInfo info;
  gst_video_info_set_format(&info, format, guint(width), guint(height));
  info.fps_n = 25;
  GstCaps *caps = gst_video_info_to_caps(&info);
  g_object_set(appsrc, "caps", caps, "format", GST_FORMAT_TIME, "max-bytes", guint64(0), nullptr);
  gst_caps_unref(caps);

  std::minstd_rand random(1);
  std::vector<GstBuffer *> pictures;
  for (int i = 0; i < kPictures; ++i) pictures.push_back(noise(info, random));
  GstFlowReturn flow;
  for (int i = 0; i < frames; ++i) {
    GstBuffer *buffer = gst_buffer_copy(pictures[size_t(i % kPictures)]);
    GST_BUFFER_PTS(buffer) = GstClockTime(i) * GST_SECOND / 25;
    GST_BUFFER_DURATION(buffer) = GST_SECOND / 25;
    g_signal_emit_by_name(appsrc, "push-buffer", buffer, &flow);
    gst_buffer_unref(buffer);
  }
  g_signal_emit_by_name(appsrc, "end-of-stream", &flow);
  for (GstBuffer *picture : pictures) gst_buffer_unref(picture);
}

GstPadProbeReturn on_arrival(GstPad *, GstPadProbeInfo *, gpointer data) {
  static_cast<std::vector<Time> *>(data)->push_back(Time::now());
  return GST_PAD_PROBE_OK;
}

[[noreturn]] void stop(const std::string &why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(1);
}

}  // namespace

Time Time::now() {
  const auto wall = std::chrono::steady_clock::now().time_since_epoch();
  return {std::chrono::duration<double>(wall).count(), double(std::clock()) / CLOCKS_PER_SEC};
}

std::vector<Time> pipeline_periods(const std::string &middle, GstVideoFormat format, int width,
                                   int height, int frames) {
  const std::string launch = "appsrc name=in ! " + middle + " ! fakesink name=out sync=false";
  GError *error = nullptr;
  GstElement *pipeline = gst_parse_launch(launch.c_str(), &error);
  if (error) stop(launch + ": " + error->message);
  GstElement *in = gst_bin_get_by_name(GST_BIN(pipeline), "in");
  fill(in, format, width, height, frames);
  gst_object_unref(in);

  std::vector<Time> arrivals;
  GstElement *out = gst_bin_get_by_name(GST_BIN(pipeline), "out");
  GstPad *pad = gst_element_get_static_pad(out, "sink");
  gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, on_arrival, &arrivals, nullptr);
  gst_object_unref(pad);
  gst_object_unref(out);

  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  GstBus *bus = gst_element_get_bus(pipeline);
  GstMessage *message = gst_bus_timed_pop_filtered(
      bus, GST_CLOCK_TIME_NONE, GstMessageType(GST_MESSAGE_EOS | GST_MESSAGE_ERROR));
  if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
    gst_message_parse_error(message, &error, nullptr);
    stop(launch + ": " + error->message);
  }
  gst_message_unref(message);
  gst_object_unref(bus);
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(pipeline);
  if (int(arrivals.size()) != frames) stop(launch + ": frames are missing");
  std::vector<Time> periods;
  for (size_t i = kWarmUp; i < arrivals.size(); ++i)
    periods.push_back(arrivals[i] - arrivals[i - 1]);
  return periods;
}

double pipeline_fps(const std::string &middle, int width, int height, int frames) {
  double seconds = 0;
  for (const Time &period : pipeline_periods(middle, GST_VIDEO_FORMAT_RGB, width, height, frames))
    seconds += period.wall;
  return double(frames - kWarmUp) / seconds;
}

}  // namespace livepeer
