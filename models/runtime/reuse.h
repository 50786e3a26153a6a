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
  ReusePlan plan(const JobRequest &request, std::optional<int> radius) const;
  /// Remembers a whole frame's result, or one composed by compose().
  void remember(const JobRequest &request, std::shared_ptr<const Frame> high_res);
  /// The remembered result with `parts[i]` in place of region i; remembers it.
  std::shared_ptr<const Frame> compose(const JobRequest &request, const std::vector<Rect> &regions,
                                       const std::vector<Frame> &parts);
  std::shared_ptr<const Frame> high_res() const { return high_res_; }
  void forget();

 private:
  Frame low_res_;
  UpscaleSettings settings_;
  Shift noise_shift_;
  std::shared_ptr<const Frame> high_res_;
};

}  // namespace livepeer
