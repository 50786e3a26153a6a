#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "runtime/job.h"

namespace livepeer {

/// What must be computed for a frame, given the frame before it.
struct ReusePlan {
  bool whole_frame = true;    ///< nothing can be reused
  std::vector<Rect> regions;  ///< else: what to compute; empty: nothing, the old result holds
};

/// The temporal state of a session: the last result and the pixels it was made from.
class ReuseState {
 public:
  /// `radius`: how far a changed pixel reaches (UpscaleModel::receptive_radius).
  ReusePlan plan(const JobRequest &request, const Noise &noise, std::optional<int> radius) const;
  /// Remembers a frame's result, for which was computed what `plan` says.
  void remember(const JobRequest &request, const Noise &noise, const ReusePlan &plan,
                std::shared_ptr<const Frame> high_res);
  std::shared_ptr<const Frame> high_res() const { return high_res_; }
  void forget();

 private:
  std::shared_ptr<const Frame> low_res_;
  std::shared_ptr<const UpscaleSettings> settings_;
  Noise noise_;
  std::shared_ptr<const Frame> high_res_;
};

}  // namespace livepeer
