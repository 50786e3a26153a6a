#include "pipeline.h"

#include "failure.h"

namespace upscale_file {
namespace {

/// What an error message says; the detail only where the sentence is one of a library's for
/// everything.
std::string sentence_of(GstMessage *message) {
  g_autoptr(GError) error = nullptr;
  g_autofree char *detail = nullptr;
  gst_message_parse_error(message, &error, &detail);
  std::string sentence = error->message;
  const bool general = error->domain == GST_CORE_ERROR ||
                       g_error_matches(error, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED);
  if (general && detail) sentence += " (" + std::string(detail) + ")";
  GST_INFO("%s: %s (%s)", GST_MESSAGE_SRC_NAME(message), error->message, detail ? detail : "");
  return sentence;
}

}  // namespace

Pipeline::Pipeline(Wake &wake, const std::string &line, Look look)
    : wake_(wake), look_(std::move(look)) {
  g_autoptr(GError) error = nullptr;
  GstElement *made =
      gst_parse_launch_full(line.c_str(), nullptr, GST_PARSE_FLAG_FATAL_ERRORS, &error);
  if (!made) throw Failure(std::string(error->message) + ": a plugin of GStreamer is missing");
  bin_.reset(GST_ELEMENT(gst_object_ref_sink(made)));
  GstBus *bus = gst_element_get_bus(bin_.get());
  gst_bus_set_sync_handler(bus, on_message, this, nullptr);
  gst_object_unref(bus);
}

Pipeline::~Pipeline() { gst_element_set_state(bin_.get(), GST_STATE_NULL); }

ElementPtr Pipeline::element(const char *name) const {
  return ElementPtr(gst_bin_get_by_name(GST_BIN(bin_.get()), name));
}

void Pipeline::set_state(GstState state) {
  if (state <= GST_STATE_READY) {
    std::lock_guard<std::mutex> lock(mutex_);
    ended_ = false;
  }
  if (gst_element_set_state(bin_.get(), state) != GST_STATE_CHANGE_FAILURE) return;
  check();
  throw Failure("the pipeline does not start; GST_DEBUG=3 tells more");
}

bool Pipeline::ended() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return ended_;
}

void Pipeline::check() const {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!error_.empty()) throw Failure(error_);
}

GstBusSyncReply Pipeline::on_message(GstBus *, GstMessage *message, gpointer data) {
  auto *self = static_cast<Pipeline *>(data);
  if (self->look_) self->look_(message);
  {
    std::lock_guard<std::mutex> lock(self->mutex_);
    // What follows the first error is what the others make of it.
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR && self->error_.empty())
      self->error_ = sentence_of(message);
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_EOS) self->ended_ = true;
  }
  self->wake_.wake();
  gst_message_unref(message);
  return GST_BUS_DROP;
}

}  // namespace upscale_file
