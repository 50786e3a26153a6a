#include "warm_model.h"

#include <stdexcept>
#include <utility>

#include "common/property.h"

namespace upscale_server {
namespace {

std::string reason(GstMessage *message) {
  g_autoptr(GError) error = nullptr;
  g_autofree char *detail = nullptr;
  gst_message_parse_error(message, &error, &detail);
  return std::string(error->message) + (detail ? " (" + std::string(detail) + ")" : "");
}

bool is_progress(GstMessage *message, GstProgressType wanted) {
  if (GST_MESSAGE_TYPE(message) != GST_MESSAGE_PROGRESS) return false;
  GstProgressType type;
  gst_message_parse_progress(message, &type, nullptr, nullptr);
  return type == wanted;
}

void wait_until_ready(GstBus *bus) {
  for (;;) {
    g_autoptr(GstMessage) message = gst_bus_timed_pop_filtered(
        bus, GST_CLOCK_TIME_NONE, GstMessageType(GST_MESSAGE_ERROR | GST_MESSAGE_PROGRESS));
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR)
      throw std::runtime_error("the model cannot be served: " + reason(message) +
                               "\nA model that has no safety checker is served with "
                               "--no-safety-checker.");
    if (is_progress(message, GST_PROGRESS_TYPE_COMPLETE)) return;
    if (is_progress(message, GST_PROGRESS_TYPE_CANCELED))
      throw std::runtime_error("loading the model was cancelled");
  }
}

constexpr const char *kNsfw =
    "what answers say of nsfw comes from it; --no-safety-checker serves without";

/// Properties that are not for --set, and why.
const std::pair<const char *, const char *> kOwn[] = {
    {"safety-check", kNsfw},
    {"safety-action", kNsfw},
    {"post-messages", kNsfw},
    {"model", "--model says it"},
    {"prompt", "requests say it"},
    {"seed", "requests say it"},
    {"steps", "requests say it"},
    {"name", "the server finds the element by it"},
    {"parent", "it is in the server's pipeline"},
};

void check_properties(GstElement *upscale, const Options &options) {
  for (const auto &[name, value] : options.properties) {
    const GParamSpec *spec =
        g_object_class_find_property(G_OBJECT_GET_CLASS(upscale), name.c_str());
    for (const auto &[own, reason] : kOwn)
      if (spec && g_str_equal(spec->name, own))
        throw std::runtime_error("--set does not take " + name + ": " + reason);
  }
}

}  // namespace

void configure(GstElement *upscale, const Options &options) {
  g_object_set(upscale, "model", options.model.empty() ? nullptr : options.model.c_str(),
               "max-pixels", guint64(options.max_pixels), "safety-check",
               gboolean(options.safety_checker), nullptr);
  gst_util_set_object_arg(G_OBJECT(upscale), "safety-action", "mark");
  for (const auto &[name, value] : options.properties)
    if (const auto wrong = livepeer_examples::set_property(upscale, name, value))
      throw std::runtime_error("--set: " + *wrong);
}

WarmModel::WarmModel(const Options &options)
    : element_(gst_element_factory_make("livepeerupscale", nullptr)) {
  if (!element_)
    throw std::runtime_error(
        "GStreamer does not find the element livepeerupscale: install the plugin, or name its "
        "folder in GST_PLUGIN_PATH");
  gst_object_ref_sink(element_.get());
  check_properties(element_.get(), options);
  configure(element_.get(), options);
  BusPtr bus(gst_bus_new());
  gst_element_set_bus(element_.get(), bus.get());
  gst_element_set_state(element_.get(), GST_STATE_PAUSED);
  wait_until_ready(bus.get());
  gst_element_set_bus(element_.get(), nullptr);
}

}  // namespace upscale_server
