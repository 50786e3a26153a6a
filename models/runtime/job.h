#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "runtime/error.h"
#include "runtime/frame.h"
#include "runtime/model.h"
#include "runtime/upscale_settings.h"

namespace livepeer {

using std::chrono::nanoseconds;

/// One frame to upscale, with one complete set of settings. Both are shared, not copied, by all who
/// need them, as the frame after this one does, and change no more.
struct JobRequest {
  std::shared_ptr<const Frame> low_res;
  std::shared_ptr<const UpscaleSettings> settings;
  std::optional<uint64_t> seed;  ///< instead of that of the settings
  /// 0: regions that are exactly equal to the frame before are not computed again; > 0: nor regions
  /// that differ by at most this much on average, in 1/255; negative: everything is computed.
  double reuse_threshold = 0;
  bool discontinuity = false;       ///< forget the frames before
  bool plain = false;               ///< no inference; the frame is only checked
  bool drop_if_late = false;        ///< nobody will see a late frame, so it need not be checked
  std::optional<nanoseconds> time;  ///< the frame's place in the stream
  /// Asked on the worker when it is about to start the frame: would it be late if it was ready
  /// `from_now` on? Must not refer to anything that the caller may free.
  std::function<bool(nanoseconds from_now)> too_late;
};

struct JobResult {
  enum class Outcome { done, plain, late, failed, cancelled };
  Outcome outcome = Outcome::cancelled;
  std::shared_ptr<const Frame> high_res;  ///< set when done; shared with frames that reuse it
  ResolvedSettings settings{};
  uint64_t seed = 0;
  bool inferred = false;  ///< the engine computed at least a region of it
  bool reused = false;    ///< at least a region of it is that of the frame before
  bool retried = false;   ///< memory ran out once; smaller tiles went through
  /// All zero when no check was asked for. Of the picture when done, else of the input.
  SafetyVerdict safety;
  std::optional<Error> unchecked;  ///< why a check that was asked for could not be made
  nanoseconds time{0};             ///< from start to end on the worker
  std::optional<Error> error;      ///< set when failed
};

/// One frame on its way through the engine. Owns its pixels. Cancelling a job is the interruption:
/// it ends every wait at once, whatever the worker is doing; the worker throws its result away when
/// it notices.
class Job {
 public:
  explicit Job(JobRequest request) : request_(std::move(request)), progress_(reporter()) {}

  /// Blocks until the job has an outcome. Calls `on_step`, on the waiting thread and without a
  /// lock, whenever the worker has got further, and before it returns how far the worker came of a
  /// job that was not cancelled.
  const JobResult &wait(const Progress::Report &on_step = {});
  /// True when wait() would return at once.
  bool finished() const;
  void cancel();

  // For the session.
  const JobRequest &request() const { return request_; }
  Progress &progress() { return progress_; }
  /// The first outcome wins; returns whether this was it.
  bool finish(JobResult result);

 private:
  Progress::Report reporter();

  JobRequest request_;
  Progress progress_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool finished_ = false;
  double fraction_ = 0;
  std::string step_;
  JobResult result_;  // immutable once finished_
};

}  // namespace livepeer
