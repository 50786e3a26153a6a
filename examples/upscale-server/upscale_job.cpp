#include "upscale_job.h"

#include <gst/app/app.h>

#include <new>
#include <stdexcept>

#include "common/picture.h"
#include "gst/livepeerupscale.h"
#include "warm_model.h"

namespace upscale_server {
namespace {

using livepeer_examples::Picture;

constexpr const char *kPipeline =
    "appsrc name=source"
    " ! livepeerupscale name=upscale post-messages=true"
    " ! pngenc name=encoder snapshot=true"
    " ! appsink name=sink sync=false wait-on-eos=false";

constexpr const char *kCancel = "upscale-server-cancel";

ElementPtr child(GstElement *pipeline, const char *name) {
  return ElementPtr(gst_bin_get_by_name(GST_BIN(pipeline), name));
}

bool posted_by(GstMessage *message, GstElement *pipeline, const char *name) {
  const ElementPtr element = child(pipeline, name);
  return gst_object_has_as_ancestor(GST_MESSAGE_SRC(message), GST_OBJECT(element.get()));
}

Outcome outcome_of_element_error(const GError &error) {
  if (g_error_matches(&error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT))
    return Outcome::out_of_memory;
  const bool blames_input = error.domain == GST_STREAM_ERROR ||
                            g_error_matches(&error, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS);
  return blames_input ? Outcome::model_failed : Outcome::fault;
}

JobResult failure(GstMessage *message, GstElement *pipeline) {
  g_autoptr(GError) error = nullptr;
  g_autofree char *detail = nullptr;
  gst_message_parse_error(message, &error, &detail);
  JobResult result;
  if (posted_by(message, pipeline, "upscale"))
    result.outcome = outcome_of_element_error(*error);
  else
    result.outcome = Outcome::fault;
  result.message = error->message;
  g_debug("%s: %s (%s)", GST_MESSAGE_SRC_NAME(message), error->message, detail ? detail : "");
  return result;
}

JobResult fault(const std::string &message) {
  JobResult result;
  result.message = message;
  return result;
}

RunningElementPtr parse_pipeline() {
  g_autoptr(GError) error = nullptr;
  GstElement *made = gst_parse_launch_full(kPipeline, nullptr, GST_PARSE_FLAG_FATAL_ERRORS, &error);
  if (!made)
    throw std::runtime_error(std::string("the pipeline cannot be made: ") + error->message);
  return RunningElementPtr(GST_ELEMENT(gst_object_ref_sink(made)));
}

/// The PNG that lies in the sink.
BytesPtr take_png(GstElement *pipeline) {
  const ElementPtr sink = child(pipeline, "sink");
  g_autoptr(GstSample) sample = gst_app_sink_try_pull_sample(GST_APP_SINK(sink.get()), 0);
  GstBuffer *buffer = sample ? gst_sample_get_buffer(sample) : nullptr;
  if (!buffer) return nullptr;
  gpointer data = nullptr;
  gsize size = 0;
  gst_buffer_extract_dup(buffer, 0, gst_buffer_get_size(buffer), &data, &size);
  return BytesPtr(g_bytes_new_take(data, size));
}

/// What the element says where it used other settings than it was given: a request that asks for
/// what cannot be had is refused, not answered with something else.
bool refuses_settings(GstMessage *message, GstElement *pipeline, JobResult &result) {
  g_autoptr(GError) warning = nullptr;
  gst_message_parse_warning(message, &warning, nullptr);
  if (!posted_by(message, pipeline, "upscale") ||
      !g_error_matches(warning, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS))
    return false;
  result.outcome = Outcome::model_failed;
  result.message = warning->message;
  return true;
}

/// Reads the element's own messages: steps made, and the judgement on the frame.
void read_element_message(GstMessage *message, const UpscaleJob::Progress &progress,
                          JobResult &result) {
  double fraction = 0;
  gboolean nsfw = FALSE;
  if (gst_livepeer_message_parse_step(message, nullptr, &fraction)) progress(fraction);
  if (gst_livepeer_message_parse_safety(message, &nsfw, nullptr)) result.nsfw = nsfw;
}

}  // namespace

void check_elements() { parse_pipeline(); }

UpscaleJob::UpscaleJob(const Options &options, const UpscaleRequest &request,
                       const PictureHeader &header)
    : options_(options),
      request_(request),
      header_(header),
      picture_(single_picture(header, request.image)),
      bus_(gst_bus_new()) {
  request_.image = {};
}

void UpscaleJob::cancel() {
  // The message waits on the bus for run(), should that not have begun.
  gst_bus_post(bus_.get(), gst_message_new_application(nullptr, gst_structure_new_empty(kCancel)));
}

RunningElementPtr UpscaleJob::make_pipeline() const {
  RunningElementPtr pipeline = parse_pipeline();
  gst_element_set_bus(pipeline.get(), bus_.get());

  const ElementPtr upscale = child(pipeline.get(), "upscale");
  configure(upscale.get(), options_);
  g_object_set(upscale.get(), "prompt", request_.prompt.c_str(), "seed", gint64(request_.seed),
               "steps", request_.steps, nullptr);
  if (!request_.lora.empty()) g_object_set(upscale.get(), "lora", request_.lora.c_str(), nullptr);
  if (!request_.safety_check) g_object_set(upscale.get(), "safety-check", FALSE, nullptr);
  return pipeline;
}

bool UpscaleJob::is_cancelled() const { return gst_bus_have_pending(bus_.get()); }

/// Throws std::runtime_error where the picture cannot be decoded, or was cancelled before it was.
GstSample *UpscaleJob::decode() const {
  gsize size = 0;
  const auto *data = static_cast<const char *>(g_bytes_get_data(picture_.get(), &size));
  const std::string_view file(data, size);
  check_segments(header_, file);
  const livepeer_examples::DecodeWatch watch = {[this](int width, int height) {
                                                  return width == int(header_.width) &&
                                                         height == int(header_.height);
                                                },
                                                [this] { return !is_cancelled(); }};
  auto *picture = new Picture(livepeer_examples::decode_picture(file, watch));
  g_autoptr(GstBuffer) buffer = gst_buffer_new_wrapped_full(
      GstMemoryFlags(0), picture->pixels.data(), picture->pixels.size(), 0, picture->pixels.size(),
      picture, [](gpointer data) { delete static_cast<Picture *>(data); });
  g_autoptr(GstCaps) caps = gst_caps_new_simple(
      "video/x-raw", "format", G_TYPE_STRING, "RGB", "width", G_TYPE_INT, picture->width, "height",
      G_TYPE_INT, picture->height, "framerate", GST_TYPE_FRACTION, 0, 1, nullptr);
  return gst_sample_new(buffer, caps, nullptr, nullptr);
}

void UpscaleJob::feed(GstElement *pipeline, GstSample *picture) const {
  const ElementPtr source = child(pipeline, "source");
  gst_app_src_push_sample(GST_APP_SRC(source.get()), picture);
  gst_app_src_end_of_stream(GST_APP_SRC(source.get()));
}

JobResult UpscaleJob::watch(GstElement *pipeline, const Progress &progress) {
  constexpr auto wanted = GstMessageType(GST_MESSAGE_ERROR | GST_MESSAGE_WARNING | GST_MESSAGE_EOS |
                                         GST_MESSAGE_ELEMENT | GST_MESSAGE_APPLICATION);
  JobResult result;
  for (;;) {
    g_autoptr(GstMessage) message =
        gst_bus_timed_pop_filtered(bus_.get(), GST_CLOCK_TIME_NONE, wanted);
    switch (GST_MESSAGE_TYPE(message)) {
      case GST_MESSAGE_ERROR:
        return failure(message, pipeline);
      case GST_MESSAGE_WARNING:
        if (refuses_settings(message, pipeline, result)) return result;
        break;
      case GST_MESSAGE_APPLICATION:
        result.outcome = Outcome::cancelled;
        return result;
      case GST_MESSAGE_ELEMENT:
        read_element_message(message, progress, result);
        break;
      default:
        result.png = take_png(pipeline);
        if (!result.png) return fault("the pipeline ended without a picture");
        result.outcome = Outcome::done;
        return result;
    }
  }
}

JobResult UpscaleJob::run(const Progress &progress) {
  JobResult result;
  try {
    g_autoptr(GstSample) picture = nullptr;
    try {
      picture = decode();
    } catch (const std::runtime_error &error) {
      result.outcome = is_cancelled() ? Outcome::cancelled : Outcome::unreadable;
      result.message = error.what();
      g_debug("the picture cannot be decoded: %s", error.what());
      return result;
    }
    const RunningElementPtr pipeline = make_pipeline();
    feed(pipeline.get(), picture);
    if (gst_element_set_state(pipeline.get(), GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE)
      gst_bus_post(bus_.get(), gst_message_new_eos(nullptr));  // behind the error, if there is one
    result = watch(pipeline.get(), progress);
  } catch (const std::bad_alloc &) {
    result.outcome = Outcome::out_of_memory;
  } catch (const std::exception &error) {
    result = fault(error.what());
  }
  return result;
}

}  // namespace upscale_server
