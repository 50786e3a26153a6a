#include "nn/unet/unet_2d_condition_config.h"

#include <algorithm>

namespace livepeer {
namespace {

constexpr int64_t max_blocks = 16, max_layers = 64, max_channels = 1 << 16;

int64_t number(const Config &config, const std::string &key, int64_t fallback, int64_t least,
               int64_t most) {
  const auto value = config.get<int64_t>(key, fallback);
  if (value < least || value > most)
    config.fail(key, "must be " + std::to_string(least) + " to " + std::to_string(most) + ", not " +
                         std::to_string(value));
  return value;
}

/// One value for all blocks, or a list with one for each.
template <typename T>
std::vector<T> per_block(const Config &config, const std::string &key, size_t blocks, T fallback) {
  if (!config.has(key) || !config.json()[key].is_array())
    return std::vector<T>(blocks, config.get<T>(key, fallback));
  auto values = config.require<std::vector<T>>(key);
  if (values.size() != blocks)
    config.fail(key,
                "must have one value for each of the " + std::to_string(blocks) + " down blocks");
  return values;
}

std::vector<int64_t> counts(const Config &config, const std::string &key, size_t blocks,
                            int64_t fallback, int64_t most) {
  auto values = per_block<int64_t>(config, key, blocks, fallback);
  for (const int64_t value : values)
    if (value < 1 || value > most)
      config.fail(key, "must be 1 to " + std::to_string(most) + ", not " + std::to_string(value));
  return values;
}

std::vector<std::string> block_types(const Config &config, const std::string &key,
                                     std::vector<std::string> fallback, const std::string &plain,
                                     const std::string &attending) {
  auto types = config.get<std::vector<std::string>>(key, std::move(fallback));
  if (types.empty() || types.size() > size_t(max_blocks))
    config.fail(key, "must name 1 to " + std::to_string(max_blocks) + " blocks");
  for (const auto &type : types)
    if (type != plain && type != attending)
      config.fail(key, "names the block \"" + type + "\"; only " + plain + " and " + attending +
                           " can be evaluated");
  return types;
}

/// Keys of the diffusers class that change the network in ways that no x4 upscaler uses: taken only
/// at the value that switches them off.
void refuse_other_features(const Config &config) {
  const nlohmann::json plain = {
      {"act_fn", "silu"},
      {"addition_embed_type", nullptr},
      {"attention_type", "default"},
      {"class_embed_type", nullptr},
      {"class_embeddings_concat", false},
      {"conv_in_kernel", 3},
      {"conv_out_kernel", 3},
      {"dual_cross_attention", false},
      {"encoder_hid_dim", nullptr},
      {"encoder_hid_dim_type", nullptr},
      {"flip_sin_to_cos", true},
      {"freq_shift", 0},
      {"mid_block_scale_factor", 1},
      {"mid_block_type", "UNetMidBlock2DCrossAttn"},
      {"num_attention_heads", nullptr},
      {"resnet_out_scale_factor", 1},
      {"resnet_skip_time_act", false},
      {"resnet_time_scale_shift", "default"},
      {"reverse_transformer_layers_per_block", nullptr},
      {"time_cond_proj_dim", nullptr},
      {"time_embedding_act_fn", nullptr},
      {"time_embedding_dim", nullptr},
      {"time_embedding_type", "positional"},
      {"timestep_post_act", nullptr},
  };
  for (const auto &[key, value] : plain.items())
    if (config.has(key) && config.json()[key] != value)
      config.fail(
          key, "has a value that cannot be evaluated: " + config.json()[key].dump().substr(0, 100) +
                   " (only " + value.dump() + ")");
}

}  // namespace

UNet2DConditionConfig::UNet2DConditionConfig(const Config &config) {
  refuse_other_features(config);
  in_channels = number(config, "in_channels", 4, 1, max_channels);
  out_channels = number(config, "out_channels", 4, 1, max_channels);
  const std::string cross_down = "CrossAttnDownBlock2D", cross_up = "CrossAttnUpBlock2D";
  down_block_types =
      block_types(config, "down_block_types", {cross_down, cross_down, cross_down, "DownBlock2D"},
                  "DownBlock2D", cross_down);
  up_block_types = block_types(config, "up_block_types",
                               {"UpBlock2D", cross_up, cross_up, cross_up}, "UpBlock2D", cross_up);
  const size_t blocks = down_block_types.size();
  if (up_block_types.size() != blocks)
    config.fail("up_block_types", "must name as many blocks as \"down_block_types\"");

  block_out_channels =
      config.get<std::vector<int64_t>>("block_out_channels", {320, 640, 1280, 1280});
  if (block_out_channels.size() != blocks)
    config.fail("block_out_channels", "must have one value for each of the down blocks");
  layers_per_block = counts(config, "layers_per_block", blocks, 2, max_layers);
  num_heads = counts(config, "attention_head_dim", blocks, 8, max_channels);
  cross_attention_dim = counts(config, "cross_attention_dim", blocks, 1280, max_channels);
  transformer_layers = counts(config, "transformer_layers_per_block", blocks, 1, max_layers);
  only_cross_attention = per_block<bool>(config, "only_cross_attention", blocks, false);
  // A list says nothing about the mid block, which then has self-attention.
  const bool listed =
      config.has("only_cross_attention") && config.json()["only_cross_attention"].is_array();
  mid_block_only_cross_attention =
      config.get<bool>("mid_block_only_cross_attention", !listed && only_cross_attention.front());

  norm_num_groups = number(config, "norm_num_groups", 32, 1, max_channels);
  norm_eps = config.get<double>("norm_eps", 1e-5);
  downsample_padding = number(config, "downsample_padding", 1, 0, 1);
  num_class_embeds = number(config, "num_class_embeds", 0, 0, 1 << 20);
  use_linear_projection = config.get<bool>("use_linear_projection", false);
  center_input_sample = config.get<bool>("center_input_sample", false);

  for (size_t i = 0; i < blocks; ++i) {
    const int64_t channels = block_out_channels[i];
    if (channels < 1 || channels > max_channels || channels % norm_num_groups != 0)
      config.fail(
          "block_out_channels",
          "must hold positive multiples of \"norm_num_groups\", not " + std::to_string(channels));
    if (channels % num_heads[i] != 0)
      config.fail("attention_head_dim", "(a number of heads) must divide the block's " +
                                            std::to_string(channels) + " channels");
  }
  if (block_out_channels.front() % 2 != 0)
    config.fail("block_out_channels", "must start with an even number");
}

}  // namespace livepeer
