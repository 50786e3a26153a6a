#include "gstlivepeerload.h"

#include "gst/gstlivepeermessages.h"
#include "gstlivepeererror.h"

GST_DEBUG_CATEGORY_EXTERN(gst_livepeer_upscale_debug);
#define GST_CAT_DEFAULT gst_livepeer_upscale_debug

namespace {

constexpr int kPercentPerMessage = 5;

struct Unref {
  void operator()(GstElement *element) const { gst_object_unref(element); }
};
using Element = std::unique_ptr<GstElement, Unref>;

Element get(GWeakRef *reference) {
  return Element(static_cast<GstElement *>(g_weak_ref_get(reference)));
}

}  // namespace

LoadReporter::LoadReporter(GstElement *element) { g_weak_ref_init(&element_, element); }

LoadReporter::~LoadReporter() { g_weak_ref_clear(&element_); }

void LoadReporter::post(GstElement *element, GstProgressType type, const char *text) {
  gst_element_post_message(element, gst_livepeer_message_new_progress(GST_OBJECT(element), type,
                                                                      "open", percent_, text));
}

void LoadReporter::start() {
  if (Element element = get(&element_))
    post(element.get(), GST_PROGRESS_TYPE_START, "Opening the model");
}

void LoadReporter::progress(double fraction) {
  const int percent = int(fraction * 100);
  if (finished_ || percent >= 100 || percent < percent_ + kPercentPerMessage) return;
  percent_ = percent;
  if (Element element = get(&element_))
    post(element.get(), GST_PROGRESS_TYPE_CONTINUE, "Loading the model");
}

void LoadReporter::loaded(const livepeer::UpscaleModel &model) {
  if (!finish()) return;
  percent_ = 100;
  if (Element element = get(&element_)) {
    GST_INFO_OBJECT(element.get(), "model %s is open on %s in %s", model.id().c_str(),
                    model.device().c_str(), model.precision().c_str());
    post(element.get(), GST_PROGRESS_TYPE_COMPLETE, "The model is open");
  }
}

void LoadReporter::failed(const livepeer::Error &error) {
  if (!finish()) return;
  Element element = get(&element_);
  if (!element) return;
  if (claim_error()) gst_livepeer_post_error(element.get(), error);
  post(element.get(), GST_PROGRESS_TYPE_ERROR, "The model cannot be opened");
}

void LoadReporter::cancel() {
  if (!finish()) return;
  if (Element element = get(&element_))
    post(element.get(), GST_PROGRESS_TYPE_CANCELED, "Opening the model was cancelled");
}

livepeer::LoadObserver gst_livepeer_observe(const std::shared_ptr<LoadReporter> &reporter) {
  return {[reporter](double fraction) { reporter->progress(fraction); },
          [reporter](const livepeer::UpscaleModel &model) { reporter->loaded(model); },
          [reporter](const livepeer::Error &error) { reporter->failed(error); }};
}
