#pragma once

#include "nn/clip/clip_encoder.h"

namespace livepeer {

/// CLIP's vision tower with the parameter names of transformers' CLIPVisionModel.
class CLIPVisionModel {
 public:
  /// `config` is the vision_config: the keys of CLIPEncoder and image_size, patch_size,
  /// num_channels. Throws Error{open_read}.
  CLIPVisionModel(const Config &config, const ParameterScope &scope);
  /// `pixels` [batch, num_channels, image_size, image_size] -> the normalised state of the class
  /// token, [batch, hidden_size].
  torch::Tensor operator()(const torch::Tensor &pixels) const;

 private:
  std::string path_;
  int64_t hidden_size_;
  Conv2d patch_embedding_;
  torch::Tensor class_embedding_, position_embedding_;
  LayerNorm pre_layernorm_;
  CLIPEncoder encoder_;
  LayerNorm post_layernorm_;
};

}  // namespace livepeer
