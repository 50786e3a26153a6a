#pragma once

#include "nn/interfaces.h"
#include "nn/unet/unet_2d_condition_config.h"
#include "nn/unet/unet_blocks.h"

namespace livepeer {

/// The text-conditional UNet of diffusers (UNet2DConditionModel), with the noise level of the
/// low-resolution image as class label. Parameters have the names of its state dict. Read-only
/// after construction but for its caches, which are locked: several threads may evaluate it.
class UNet2DConditionModel : public Denoiser {
 public:
  /// Throws Error{open_read} for configurations that it cannot evaluate.
  UNet2DConditionModel(const Config &config, const ParameterScope &scope);

  /// Any h and w >= 1 and any number of text tokens. Computes in the type of its weights and
  /// returns the type of `sample`. Throws Error{settings} for inputs that do not fit.
  torch::Tensor forward(const torch::Tensor &sample, const torch::Tensor &timesteps,
                        const TextEmbeddings &text, const torch::Tensor &class_labels) override;
  /// Throws std::out_of_range for a branch that there is not.
  torch::Tensor forward_past(DeepFeatures &deep, const torch::Tensor &sample,
                             const torch::Tensor &timesteps, const TextEmbeddings &text,
                             const torch::Tensor &class_labels) override;
  int64_t deep_branches() const override;
  int64_t in_channels() const override { return config_.in_channels; }
  std::optional<int64_t> receptive_radius() const override { return std::nullopt; }

 private:
  torch::Tensor evaluate(DeepFeatures *deep, const torch::Tensor &sample,
                         const torch::Tensor &timesteps, const TextEmbeddings &text,
                         const torch::Tensor &class_labels);
  torch::Tensor run_blocks(torch::Tensor x, const UNetConditions &conditions,
                           std::vector<torch::Tensor> &skips, DeepFeatures *deep) const;
  void check_input(const torch::Tensor &sample, const torch::Tensor &timesteps,
                   const TextEmbeddings &text, const torch::Tensor &class_labels) const;
  torch::Tensor embed_time(const torch::Tensor &timesteps, const torch::Tensor &class_labels) const;

  const UNet2DConditionConfig config_;
  torch::ScalarType dtype_;
  Conv2d conv_in_;
  Linear time_linear_1_, time_linear_2_;
  torch::Tensor class_embedding_;  ///< [classes, time channels]; undefined without classes
  std::vector<UNetDownBlock2D> down_blocks_;
  std::optional<UNetMidBlock2DCrossAttn> mid_block_;
  std::vector<UNetUpBlock2D> up_blocks_;
  GroupNorm conv_norm_out_;
  Conv2d conv_out_;

  ProjectionCache<torch::Tensor> times_;
  ProjectionCache<KeyValue> texts_;
};

}  // namespace livepeer
