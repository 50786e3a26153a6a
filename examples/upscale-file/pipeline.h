#pragma once

#include <functional>
#include <mutex>
#include <string>

#include "gst_ptr.h"
#include "wake.h"

namespace upscale_file {

/// A pipeline whose messages wake the main thread.
class Pipeline {
 public:
  using Look = std::function<void(GstMessage *)>;
  /// Of a launch line; throws Failure where an element is missing. `look` sees every message, in
  /// the thread that posts it.
  Pipeline(Wake &wake, const std::string &line, Look look = {});
  Pipeline(const Pipeline &) = delete;
  Pipeline &operator=(const Pipeline &) = delete;
  ~Pipeline();

  GstElement *bin() const { return bin_.get(); }
  ElementPtr element(const char *name) const;
  /// Throws Failure with what the pipeline says.
  void set_state(GstState state);
  bool ended() const;
  /// Throws Failure if something has posted an error.
  void check() const;

 private:
  static GstBusSyncReply on_message(GstBus *bus, GstMessage *message, gpointer self);

  Wake &wake_;
  const Look look_;
  ElementPtr bin_;
  mutable std::mutex mutex_;
  std::string error_;
  bool ended_ = false;
};

}  // namespace upscale_file
