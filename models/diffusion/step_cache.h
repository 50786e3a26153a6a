#pragma once

#include <array>
#include <map>
#include <vector>

#include "nn/interfaces.h"
#include "runtime/frame.h"
#include "runtime/model.h"

namespace livepeer {

/// Evaluates a denoiser over the steps of one frame, and computes its deep layers in every
/// cache_interval-th of them only (DeepCache, as the Python package of that name in its uniform
/// mode). Each tile has deep features of its own.
class StepCache {
 public:
  StepCache(Denoiser &denoiser, const ResolvedSettings &settings);

  /// To be called before the evaluations of step `i`. Where guidance starts or ends, the deep
  /// layers are computed, too.
  void begin_step(const std::vector<double> &timesteps, size_t i, bool guided);
  /// Denoiser::forward() on the part `rect` of the latents.
  torch::Tensor evaluate(const Rect &rect, const torch::Tensor &sample,
                         const torch::Tensor &timesteps, const TextEmbeddings &text,
                         const torch::Tensor &class_labels);

 private:
  Denoiser &denoiser_;
  const size_t interval_;  ///< 1: nothing is kept
  const int64_t branch_;
  bool guided_ = false;
  std::map<std::array<int, 2>, DeepFeatures> tiles_;  ///< by their corners
};

}  // namespace livepeer
