#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "runtime/job.h"
#include "runtime/model.h"
#include "runtime/model_cache.h"
#include "runtime/motion.h"
#include "runtime/pace.h"
#include "runtime/reuse.h"
#include "runtime/safety_hold.h"

namespace livepeer {

/// Told about the load of a session's model, or of one that takes its place, on a worker. A call
/// that is under way when the session is closed may end afterwards, so the functions must own all
/// that they refer to. A change that comes to nothing has failed with Error{cancelled}.
struct LoadObserver {
  std::function<void(double fraction)> progress;
  std::function<void(const UpscaleModel &model)> loaded;
  std::function<void(const Error &error)> failed;
};

struct SessionStats {
  uint64_t inferred = 0;
  uint64_t reused = 0;
  uint64_t late = 0;
  uint64_t cancelled = 0;
  uint64_t flagged = 0;
  nanoseconds load_time{0};
  nanoseconds last_time{0};
  nanoseconds mean_time{0};  ///< of inferences, the newest counting most
  nanoseconds demand{0};     ///< Pace::demand()
  size_t queue_depth = 0;    ///< jobs waiting or running
};

/// One stream of frames through one model: temporal state and statistics. The jobs are computed in
/// order by one worker thread that the Runtime owns. All functions return without waiting for it.
class Session {
 public:
  Session(ModelSpec spec, Limits limits, CheckedModel checked, std::shared_ptr<ModelLoader> loader,
          std::shared_ptr<ModelCache> cache, LoadObserver observer);
  /// Another model in the place of the session's.
  struct Change;

  /// After close() the job comes back cancelled; after a failed load, failed with its error.
  std::shared_ptr<Job> submit(JobRequest request);
  /// Cancels all jobs and forgets the frames before.
  void flush();
  /// Cancels the load and all jobs. The worker leaves when it notices; nobody waits for it.
  void close();
  SessionStats stats() const;
  /// Throws Error{no_space} with the numbers when a frame of this size needs more memory than it
  /// may take or than there is. Knows nothing, and passes, until the model is loaded.
  void check_memory(int width, int height, int sample_bytes) const;
  /// The weights; null until loaded. Holding it keeps them for the next session.
  std::shared_ptr<UpscaleModel> model() const;

  /// What the model in use was made of.
  ModelSpec spec() const;
  /// Asks for the same model with other LoRAs. What was asked for before and has not taken effect
  /// never will. The Runtime has prepare() called on the result.
  std::shared_ptr<Change> change_lora(std::string lora, LoadObserver observer);

  /// The worker's loop; called by the Runtime.
  void run();
  /// Checks and loads a change, beside the running frames; the worker then takes it between two.
  /// Where it cannot be had, its observer is told and the model stays. Called by the Runtime, on a
  /// worker of its own.
  void prepare(const std::shared_ptr<Change> &change);

 private:
  bool load();
  void take_over(const std::shared_ptr<Change> &change);
  void cancel_jobs(bool closing);
  JobResult compute(Job &job);
  void forget_frames_before();
  JobResult work(Job &job);
  /// Follows the picture with the noise, under TemporalMode::motion.
  Shift follow(const std::shared_ptr<const Frame> &low_res);
  bool too_late(const JobRequest &request, const ResolvedSettings &settings);
  /// How long a whole frame takes, where what `plan` asks for took `time`: at least that, and not
  /// more than by the area, since the surroundings make a part dearer.
  nanoseconds time_of_whole(const ReusePlan &plan, const Frame &low_res, nanoseconds time) const;
  /// Computes what `plan` says, and fills in the rest of `result`.
  void infer(Job &job, const Noise &noise, const ReusePlan &plan, JobResult &result);
  /// Returns whether memory ran out once, and smaller tiles went through.
  bool upscale(Job &job, const Noise &noise, const Rect &region, const FramePart &high_res);
  /// check_memory(), for a frame that is about to be computed.
  void watch_memory(const Frame &low_res);
  /// Fills in what the safety checker says of `picture`.
  void check(const JobRequest &request, const Frame &picture, JobResult &result);
  void refuse(const std::shared_ptr<Job> &job, const Error &error);
  void count(const JobResult &result);

  const Limits limits_;
  const std::shared_ptr<ModelLoader> loader_;
  const std::shared_ptr<ModelCache> cache_;
  const LoadObserver observer_;
  Progress load_progress_;

  mutable std::mutex mutex_;  // guards everything down to stats_; held for no call out of here
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Job>> queue_;
  std::shared_ptr<Job> current_;
  ModelSpec spec_;
  CheckedModel checked_;
  std::shared_ptr<UpscaleModel> model_;
  std::optional<Error> load_error_;
  std::shared_ptr<Change> wanted_;  ///< the last that was asked for
  std::shared_ptr<Change> ready_;   ///< loaded, for the worker to take
  bool preparing_ = false;
  bool closed_ = false;
  bool reset_ = false;
  SessionStats stats_;

  // The worker's own.
  size_t memory_checked_for_ = 0;  // bytes of the input
  std::chrono::steady_clock::time_point memory_checked_;
  ReuseState temporal_;
  Pace pace_;
  SafetyHold safety_hold_;
  SafetyVerdict last_safety_;  // of temporal_'s picture
  uint64_t frame_index_ = 0;   // frames since the last discontinuity
  // TemporalMode::motion: the frame before, in 8 bits, and where the noise is.
  std::shared_ptr<const Frame> last_low_res_;
  Shift noise_shift_;
};

}  // namespace livepeer
