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

const LoadWords kOpening = {"open",
                            "Opening the model",
                            "Loading the model",
                            "The model is open",
                            "Opening the model was cancelled",
                            "The model cannot be opened"};
const LoadWords kChangingLora = {"lora",
                                 "Changing the LoRA",
                                 "Loading the model with another LoRA",
                                 "The LoRA is changed",
                                 "The LoRA stays as it was",
                                 nullptr};

LoadReporter::LoadReporter(GstElement *element, const LoadWords &words) : words_(words) {
  g_weak_ref_init(&element_, element);
}

LoadReporter::~LoadReporter() { g_weak_ref_clear(&element_); }

void LoadReporter::post(GstElement *element, GstProgressType type, const char *text) {
  gst_element_post_message(element, gst_livepeer_message_new_progress(GST_OBJECT(element), type,
                                                                      words_.code, percent_, text));
}

void LoadReporter::start() {
  if (Element element = get(&element_)) post(element.get(), GST_PROGRESS_TYPE_START, words_.start);
}

void LoadReporter::progress(double fraction) {
  const int percent = int(fraction * 100);
  if (finished_ || percent >= 100 || percent < percent_ + kPercentPerMessage) return;
  percent_ = percent;
  if (Element element = get(&element_))
    post(element.get(), GST_PROGRESS_TYPE_CONTINUE, words_.going);
}

void LoadReporter::loaded(const livepeer::UpscaleModel &model) {
  if (!finish()) return;
  percent_ = 100;
  if (Element element = get(&element_)) {
    GST_INFO_OBJECT(element.get(), "model %s is open on %s in %s", model.id().c_str(),
                    model.device().c_str(), model.precision().c_str());
    post(element.get(), GST_PROGRESS_TYPE_COMPLETE, words_.complete);
  }
}

void LoadReporter::failed(const livepeer::Error &error) {
  if (!finish()) return;
  Element element = get(&element_);
  if (!element) return;
  if (words_.failed) {
    if (claim_error()) gst_livepeer_post_error(element.get(), error);
    post(element.get(), GST_PROGRESS_TYPE_ERROR, words_.failed);
    return;
  }
  if (error.kind() != livepeer::ErrorKind::cancelled)
    gst_livepeer_post_warning(element.get(), error);
  post(element.get(), GST_PROGRESS_TYPE_CANCELED, words_.cancelled);
}

void LoadReporter::cancel() {
  if (!finish()) return;
  if (Element element = get(&element_))
    post(element.get(), GST_PROGRESS_TYPE_CANCELED, words_.cancelled);
}

livepeer::LoadObserver gst_livepeer_observe(const std::shared_ptr<LoadReporter> &reporter) {
  return {[reporter](double fraction) { reporter->progress(fraction); },
          [reporter](const livepeer::UpscaleModel &model) { reporter->loaded(model); },
          [reporter](const livepeer::Error &error) { reporter->failed(error); }};
}
