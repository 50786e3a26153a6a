#include "fragment_encoder.h"

#include <gst/app/app.h>
#include <gst/video/video.h>

#include "output_size.h"

namespace upscale_file {
namespace {

constexpr guint64 kWaiting = 2;  ///< frames before the element, so that it never waits for one
constexpr std::chrono::milliseconds kPatience(2500);  ///< for the encoder, once interrupted

std::string line_of(const Encoder &encoder, const Container &container) {
  return "appsrc name=in format=time block=false"
         " ! livepeerupscale name=upscale"
         " ! queue name=behind max-size-buffers=2 max-size-bytes=0 max-size-time=0"
         " ! videoconvertscale method=lanczos n-threads=2 ! capsfilter name=fitted"
         " ! " +
         encoder_line(encoder, container) + " ! appsink name=out sync=false async=false";
}

/// Encoders shift their timestamps, and their segment with them.
BufferPtr in_running_time(GstSample *sample) {
  BufferPtr packet(gst_buffer_copy(gst_sample_get_buffer(sample)));
  const GstSegment *segment = gst_sample_get_segment(sample);
  for (GstClockTime *time : {&GST_BUFFER_PTS(packet.get()), &GST_BUFFER_DTS(packet.get())})
    *time = gst_segment_to_running_time(segment, GST_FORMAT_TIME, *time);
  return packet;
}

}  // namespace

FragmentEncoder::FragmentEncoder(Wake &wake, const Encoder &encoder, const Container &container,
                                 GstCaps *frame, const Options &options, Pipeline::Look look)
    : wake_(wake),
      pipeline_(wake, line_of(encoder, container), std::move(look)),
      in_(pipeline_.element("in")),
      upscale_(pipeline_.element("upscale")),
      behind_(pipeline_.element("behind")),
      out_(pipeline_.element("out")) {
  const OutputSize size = output_size(frame, options, true);
  const char *format = is_deep(frame) && encoder.deep_format ? encoder.deep_format : encoder.format;
  const CapsPtr fitted(gst_caps_new_simple("video/x-raw", "format", G_TYPE_STRING, format, "width",
                                           G_TYPE_INT, size.width, "height", G_TYPE_INT,
                                           size.height, "pixel-aspect-ratio", GST_TYPE_FRACTION,
                                           size.par_n, size.par_d, nullptr));
  g_object_set(pipeline_.element("fitted").get(), "caps", fitted.get(), nullptr);
  const PadPtr source(gst_element_get_static_pad(upscale_.get(), "src"));
  const auto count = [](GstPad *, GstPadProbeInfo *, gpointer self) {
    auto *encoder = static_cast<FragmentEncoder *>(self);
    ++encoder->frames_done_;
    encoder->wake_.wake();
    return GST_PAD_PROBE_OK;
  };
  gst_pad_add_probe(source.get(), GST_PAD_PROBE_TYPE_BUFFER, count, this, nullptr);
  GstAppSinkCallbacks callbacks = {};
  callbacks.new_sample = [](GstAppSink *, gpointer self) {
    static_cast<FragmentEncoder *>(self)->wake_.wake();
    return GST_FLOW_OK;
  };
  gst_app_sink_set_callbacks(GST_APP_SINK(out_.get()), &callbacks, this, nullptr);
}

void FragmentEncoder::begin(const std::string &path) {
  path_ = path;
  pushed_ = 0;
  durations_.clear();
  finished_ = false;
  pipeline_.set_state(GST_STATE_PLAYING);
}

bool FragmentEncoder::has_room() const {
  return gst_app_src_get_current_level_buffers(GST_APP_SRC(in_.get())) < kWaiting;
}

void FragmentEncoder::push(GstSample *frame) {
  gst_app_src_push_sample(GST_APP_SRC(in_.get()), frame);
  const GstBuffer *buffer = gst_sample_get_buffer(frame);
  durations_[GST_BUFFER_PTS(buffer)] = GST_BUFFER_DURATION(buffer);
  ++pushed_;
}

void FragmentEncoder::end() { gst_app_src_end_of_stream(GST_APP_SRC(in_.get())); }

void FragmentEncoder::drain() {
  pipeline_.check();
  if (finished_) return;
  while (const SamplePtr sample{gst_app_sink_try_pull_sample(GST_APP_SINK(out_.get()), 0)}) {
    if (!writer_)
      writer_ = std::make_unique<PacketWriter>(path_, gst_sample_get_caps(sample.get()));
    const BufferPtr packet = in_running_time(sample.get());
    // Encoders of frames without a rate tell no durations.
    const auto duration = durations_.find(GST_BUFFER_PTS(packet.get()));
    if (duration != durations_.end()) {
      GST_BUFFER_DURATION(packet.get()) = duration->second;
      durations_.erase(durations_.begin(), std::next(duration));
    }
    writer_->write(packet.get());
  }
  if (!gst_app_sink_is_eos(GST_APP_SINK(out_.get()))) return;
  pipeline_.check();  // what fails ends its stream, too
  stop();
  finish_file();
}

/// Everything forgets what was, but the element keeps its model.
void FragmentEncoder::stop() {
  pipeline_.set_state(GST_STATE_READY);
  GstIterator *all = gst_bin_iterate_elements(GST_BIN(pipeline_.bin()));
  const auto forget = [](const GValue *item, gpointer kept) {
    auto *element = GST_ELEMENT(g_value_get_object(item));
    if (element != kept) gst_element_set_state(element, GST_STATE_NULL);
  };
  gst_iterator_foreach(all, forget, upscale_.get());
  gst_iterator_free(all);
}

void FragmentEncoder::finish_file() {
  if (writer_) writer_->finish(interrupted_ ? 0 : pushed_);  // a part is no complete fragment
  writer_.reset();
  finished_ = true;
}

bool FragmentEncoder::interrupt() {
  if (finished_) return false;
  interrupted_ = true;
  gst_element_set_state(upscale_.get(), GST_STATE_READY);
  const PadPtr rest(gst_element_get_static_pad(behind_.get(), "sink"));
  gst_pad_send_event(rest.get(), gst_event_new_eos());
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!finished_ && std::chrono::steady_clock::now() < until) {
    drain();
    if (!finished_) wake_.wait(std::chrono::milliseconds(20));
  }
  const bool any = writer_ || (finished_ && g_file_test(path_.c_str(), G_FILE_TEST_EXISTS));
  if (!finished_) finish_file();
  return any;
}

}  // namespace upscale_file
