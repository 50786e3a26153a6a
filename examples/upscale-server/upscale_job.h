#pragma once

#include <functional>
#include <string>

#include "glib_ptr.h"
#include "options.h"
#include "picture.h"
#include "upscale_request.h"

namespace upscale_server {

enum class Outcome {
  done,
  unreadable,    ///< the picture cannot be decoded
  model_failed,  ///< the model failed on this picture
  out_of_memory,
  cancelled,
  fault,
};

struct JobResult {
  Outcome outcome = Outcome::fault;
  BytesPtr png;  ///< only when done
  bool nsfw = false;
  std::string message;  ///< what went wrong
};

/// Throws std::runtime_error where GStreamer lacks an element of the pipeline.
void check_elements();

/// One picture on its way through a pipeline of its own. Made on the main thread, run on a worker.
class UpscaleJob {
 public:
  using Progress = std::function<void(double fraction)>;

  UpscaleJob(const Options &options, const UpscaleRequest &request, const PictureHeader &header);

  /// Blocks until the picture is done, failed or cancelled. `progress` is called on this thread.
  JobResult run(const Progress &progress);

  /// Makes run() end soon with Outcome::cancelled. From any thread, at any time.
  void cancel();

  const PictureHeader &header() const { return header_; }
  Json seed_as_json() const { return request_.seed_as_json(); }

 private:
  bool is_cancelled() const;  ///< only before there is a pipeline, which posts, too
  RunningElementPtr make_pipeline() const;
  GstSample *decode() const;
  void feed(GstElement *pipeline, GstSample *picture) const;
  JobResult watch(GstElement *pipeline, const Progress &progress);

  const Options &options_;
  UpscaleRequest request_;
  PictureHeader header_;
  BytesPtr picture_;
  BusPtr bus_;
};

}  // namespace upscale_server
