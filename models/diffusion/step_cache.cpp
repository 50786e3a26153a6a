#include "diffusion/step_cache.h"

#include <algorithm>

namespace livepeer {

StepCache::StepCache(Denoiser &denoiser, const ResolvedSettings &settings)
    : denoiser_(denoiser),
      interval_(denoiser.deep_branches() > 0 ? settings.cache_interval : 1),
      branch_(settings.cache_branch_id) {}

void StepCache::begin_step(const std::vector<double> &timesteps, size_t i, bool guided) {
  // Where a sampler visits a timestep twice, the package counts the first visit both times.
  const auto first = std::find(timesteps.begin(), timesteps.end(), timesteps[i]);
  if (size_t(first - timesteps.begin()) % interval_ == 0 || guided != guided_) tiles_.clear();
  guided_ = guided;
}

torch::Tensor StepCache::evaluate(const Rect &rect, const torch::Tensor &sample,
                                  const torch::Tensor &timesteps, const TextEmbeddings &text,
                                  const torch::Tensor &class_labels) {
  if (interval_ == 1) return denoiser_.forward(sample, timesteps, text, class_labels);
  DeepFeatures &deep = tiles_[{rect.x, rect.y}];
  deep.branch = branch_;
  return denoiser_.forward_past(deep, sample, timesteps, text, class_labels);
}

}  // namespace livepeer
