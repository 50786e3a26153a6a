#pragma once

#include <gst/gst.h>

#include <atomic>
#include <memory>

#include "runtime/error.h"
#include "runtime/session.h"

/// What a LoadReporter says.
struct LoadWords {
  const char *code, *start, *going, *complete, *cancelled, *failed;
};
extern const LoadWords kOpening;       ///< the model
extern const LoadWords kChangingLora;  ///< while it is open

/// Tells the bus how the load of a model goes: PROGRESS from start to exactly one of complete,
/// canceled or error; a change that fails ends in a warning and canceled, as the stream goes on.
/// The worker calls it and may outlive the element, of which it holds only a weak reference.
class LoadReporter {
 public:
  LoadReporter(GstElement *element, const LoadWords &words);
  ~LoadReporter();
  LoadReporter(const LoadReporter &) = delete;
  LoadReporter &operator=(const LoadReporter &) = delete;

  void start();
  void progress(double fraction);
  void loaded(const livepeer::UpscaleModel &model);
  void failed(const livepeer::Error &error);
  void cancel();

  /// True for the first who asks: that one posts the stream's error.
  bool claim_error() { return !error_claimed_.exchange(true); }

 private:
  bool finish() { return !finished_.exchange(true); }
  void post(GstElement *element, GstProgressType type, const char *text);

  GWeakRef element_;
  const LoadWords &words_;
  std::atomic<bool> finished_{false};
  std::atomic<bool> error_claimed_{false};
  std::atomic<int> percent_{0};
};

/// An observer that keeps the reporter alive.
livepeer::LoadObserver gst_livepeer_observe(const std::shared_ptr<LoadReporter> &reporter);
