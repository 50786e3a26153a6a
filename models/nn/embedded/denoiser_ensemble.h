#pragma once

#include <algorithm>

#include "nn/embedded/flat_denoiser.h"

namespace livepeer {

/// Two FlatDenoisers that share the work (experts by noise level, after Balaji et al. 2022,
/// "eDiff-I"): one for timesteps of at least `first_expert_from`, where the latent is noise only
/// and the answer is plain super-resolution, one for all others, which follow what the latent
/// already holds. Each evaluation costs as much as one of them.
///
/// Configuration: FlatDenoiser's keys, but num_blocks is a list of each expert's, and
/// first_expert_from. Parameters: experts.0 and experts.1.
class DenoiserEnsemble : public Denoiser {
 public:
  DenoiserEnsemble(const Config &config, const ParameterScope &scope);

  /// As FlatDenoiser::forward; items of one batch may belong to different experts.
  torch::Tensor forward(const torch::Tensor &sample, const torch::Tensor &timesteps,
                        const TextEmbeddings &text, const torch::Tensor &class_labels) override;
  int64_t in_channels() const override { return first_.in_channels(); }
  std::optional<int64_t> receptive_radius() const override {
    return std::max(first_.receptive_radius(), second_.receptive_radius());
  }

 private:
  double first_expert_from_;
  FlatDenoiser first_, second_;
};

}  // namespace livepeer
