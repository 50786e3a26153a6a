#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/config.h"

namespace livepeer {

/// What unet/config.json says, checked. Values that diffusers writes as one number or one per block
/// are lists here, in the order of the down blocks (the up blocks go through them backwards).
struct UNet2DConditionConfig {
  /// Throws Error{open_read} that names the key: for values that contradict each other, and for
  /// features of the diffusers class that this one does not have.
  explicit UNet2DConditionConfig(const Config &config);

  int64_t in_channels, out_channels;
  std::vector<std::string> down_block_types, up_block_types;
  std::vector<int64_t> block_out_channels;
  std::vector<int64_t> layers_per_block;
  std::vector<int64_t> num_heads;  ///< `attention_head_dim`, which despite its name counts heads
  std::vector<int64_t> cross_attention_dim;
  std::vector<int64_t> transformer_layers;
  std::vector<bool> only_cross_attention;
  bool mid_block_only_cross_attention;
  int64_t norm_num_groups;
  double norm_eps;
  int64_t downsample_padding;
  int64_t num_class_embeds;  ///< 0: no class embedding
  bool use_linear_projection;
  bool center_input_sample;
};

}  // namespace livepeer
