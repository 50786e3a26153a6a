#include "frame_source.h"

#include <gst/app/app.h>
#include <gst/video/video.h>

#include <algorithm>
#include <atomic>

#include "animation.h"
#include "failure.h"
#include "pipeline.h"
#include "text.h"

namespace upscale_file {
namespace {

/// Where a job begins and ends in the running time of its input.
class Range {
 public:
  explicit Range(const Options &options)
      : start_(options.start), frames_left_(options.frames.value_or(~uint64_t(0))) {
    if (options.duration) end_ = start_ + *options.duration;
  }
  bool is_over() const { return frames_left_ == 0; }
  /// The frame in the job's time, or null where it lies before; one behind the end ends the range.
  SamplePtr cut(GstSample *sample, GstClockTime time) {
    if (time >= end_) frames_left_ = 0;
    if (time < start_ || is_over()) return nullptr;
    frames_left_--;
    BufferPtr buffer(gst_buffer_copy(gst_sample_get_buffer(sample)));
    GST_BUFFER_PTS(buffer.get()) = time - start_;
    GST_BUFFER_DTS(buffer.get()) = GST_CLOCK_TIME_NONE;
    return SamplePtr(gst_sample_new(buffer.get(), gst_sample_get_caps(sample), nullptr, nullptr));
  }

 private:
  const GstClockTime start_;
  GstClockTime end_ = GST_CLOCK_TIME_NONE;
  uint64_t frames_left_;
};

class DecodedFrames : public FrameSource {
 public:
  DecodedFrames(Wake &wake, const Input &input, const Options &options)
      : wake_(wake),
        input_(input),
        range_(options),
        pipeline_(
            wake,
            "filesrc name=file ! decodebin name=decode appsink name=out sync=false max-buffers=3") {
    const ElementPtr decode = pipeline_.element("decode"), file = pipeline_.element("file");
    g_object_set(file.get(), "location", input.path.c_str(), nullptr);
    g_signal_connect(decode.get(), "autoplug-continue", G_CALLBACK(goes_on), nullptr);
    g_signal_connect(decode.get(), "pad-added", G_CALLBACK(pad_added), this);
    out_ = pipeline_.element("out");
    GstAppSinkCallbacks callbacks = {};
    callbacks.new_sample = [](GstAppSink *, gpointer self) {
      static_cast<DecodedFrames *>(self)->wake_.wake();
      return GST_FLOW_OK;
    };
    gst_app_sink_set_callbacks(GST_APP_SINK(out_.get()), &callbacks, this, nullptr);
    pipeline_.set_state(GST_STATE_PLAYING);
  }

  SamplePtr next() override {
    pipeline_.check();
    while (!ended()) {
      SamplePtr sample(gst_app_sink_try_pull_sample(GST_APP_SINK(out_.get()), 0));
      if (!sample && !all_pulled()) return nullptr;
      std::swap(sample, held_);
      if (!sample) continue;
      const GstClockTime time = time_of(sample.get(), held_.get());
      if (SamplePtr frame = range_.cut(sample.get(), time)) return frame;
    }
    return nullptr;
  }

  bool ended() const override { return range_.is_over() || (all_pulled() && !held_); }
  uint64_t position() const override { return end_; }
  bool deinterlaces() const override { return deinterlaces_; }

 private:
  /// Only pictures are decoded.
  static gboolean goes_on(GstElement *, GstPad *, GstCaps *caps, gpointer) {
    const char *name = gst_structure_get_name(gst_caps_get_structure(caps, 0));
    return !g_str_has_prefix(name, "audio/") && !g_str_has_prefix(name, "text/") &&
           !g_str_has_prefix(name, "subpicture/") && !g_str_has_prefix(name, "subtitle/") &&
           !g_str_has_prefix(name, "closedcaption/");
  }

  static void pad_added(GstElement *, GstPad *pad, gpointer data) {
    const CapsPtr caps(gst_pad_get_current_caps(pad));
    const GstStructure *what = caps ? gst_caps_get_structure(caps.get(), 0) : nullptr;
    if (what && gst_structure_has_name(what, "video/x-raw"))
      static_cast<DecodedFrames *>(data)->link(pad, *what);
  }

  /// Of several pictures in a file the first is taken.
  void link(GstPad *pad, const GstStructure &what) {
    if (linked_.exchange(true)) return;
    std::string line;
    const char *mode = gst_structure_get_string(&what, "interlace-mode");
    if (mode && !g_str_equal(mode, "progressive")) {
      line = "videoconvert ! deinterlace method=yadif fields=top";
      deinterlaces_ = true;
    }
    if (!input_.turn.empty())
      line += (line.empty() ? "" : " ! ") +
              std::string("videoconvert ! videoflip video-direction=") + input_.turn;
    const PadPtr sink(gst_element_get_static_pad(out_.get(), "sink"));
    if (line.empty()) {
      gst_pad_link(pad, sink.get());
      return;
    }
    GstElement *between = gst_parse_bin_from_description(line.c_str(), TRUE, nullptr);
    if (!between) return;
    gst_bin_add(GST_BIN(pipeline_.bin()), between);
    gst_element_link(between, out_.get());
    gst_element_sync_state_with_parent(between);
    const PadPtr into(gst_element_get_static_pad(between, "sink"));
    gst_pad_link(pad, into.get());
  }

  bool all_pulled() const { return gst_app_sink_is_eos(GST_APP_SINK(out_.get())); }

  /// In running time. Where a stream has no timestamps, frames follow one another at its rate.
  /// matroskademux takes the first block that it sees for the beginning, until there is an earlier
  /// one: so the segment of the frame `behind` tells better, where it begins anew and does not go
  /// on.
  GstClockTime time_of(GstSample *sample, GstSample *behind) {
    const GstSegment *segment = gst_sample_get_segment(sample);
    if (behind && segment->base == 0 && gst_sample_get_segment(behind)->base == 0)
      segment = gst_sample_get_segment(behind);
    const GstBuffer *buffer = gst_sample_get_buffer(sample);
    GstClockTime time = GST_BUFFER_PTS(buffer);
    if (GST_CLOCK_TIME_IS_VALID(time))
      time = gst_segment_to_running_time(segment, GST_FORMAT_TIME, time);
    if (!GST_CLOCK_TIME_IS_VALID(time)) time = position_;
    const GstClockTime duration = GST_BUFFER_DURATION(buffer);
    position_ = time + (GST_CLOCK_TIME_IS_VALID(duration) ? duration : frame_duration(sample));
    // An input says its length from zero on, even where it begins later.
    const GstClockTime late = GST_BUFFER_PTS_IS_VALID(buffer)
                                  ? GST_BUFFER_PTS(buffer) - std::min(GST_BUFFER_PTS(buffer), time)
                                  : 0;
    end_ = position_ + late;
    return time;
  }

  static GstClockTime frame_duration(GstSample *sample) {
    GstVideoInfo info;
    if (!gst_video_info_from_caps(&info, gst_sample_get_caps(sample)) || info.fps_n <= 0)
      return 40 * GST_MSECOND;
    return gst_util_uint64_scale_int(GST_SECOND, info.fps_d, info.fps_n);
  }

  Wake &wake_;
  const Input &input_;
  Range range_;
  Pipeline pipeline_;
  ElementPtr out_;
  SamplePtr held_;  ///< decoded, until the next one is
  std::atomic<bool> linked_{false}, deinterlaces_{false};
  GstClockTime position_ = 0, end_ = 0;
};

class AnimatedFrames : public FrameSource {
 public:
  AnimatedFrames(const Input &input, const Options &options)
      : animation_(input.path), range_(options) {}

  SamplePtr next() override {
    while (!ended()) {
      const SamplePtr sample = animation_.next();
      if (!sample) {
        ended_ = true;
        return nullptr;
      }
      const GstBuffer *buffer = gst_sample_get_buffer(sample.get());
      position_ = GST_BUFFER_PTS(buffer) + GST_BUFFER_DURATION(buffer);
      if (SamplePtr frame = range_.cut(sample.get(), GST_BUFFER_PTS(buffer))) return frame;
    }
    return nullptr;
  }

  bool ended() const override { return ended_ || range_.is_over(); }
  uint64_t position() const override { return position_; }

 private:
  Animation animation_;
  Range range_;
  bool ended_ = false;
  uint64_t position_ = 0;
};

}  // namespace

std::unique_ptr<FrameSource> open_frames(Wake &wake, const Input &input, const Options &options) {
  if (input.kind == Kind::animation) return std::make_unique<AnimatedFrames>(input, options);
  return std::make_unique<DecodedFrames>(wake, input, options);
}

}  // namespace upscale_file
