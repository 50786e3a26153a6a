#include "nn/vae/autoencoder_kl.h"

namespace livepeer {
namespace {

constexpr int64_t max_channels = 1 << 16;

void require_types(const Config &config, const std::string &key, const std::string &type,
                   size_t blocks) {
  const auto types = config.get<std::vector<std::string>>(key, {type});
  if (types.size() != blocks)
    config.fail(key, "must name as many blocks as \"block_out_channels\"");
  for (const auto &name : types)
    if (name != type)
      config.fail(key, "names the block \"" + name + "\"; only " + type + " can be evaluated");
}

int64_t number(const Config &config, const std::string &key, int64_t fallback, int64_t most) {
  const auto value = config.get<int64_t>(key, fallback);
  if (value < 1 || value > most) config.fail(key, "must be 1 to " + std::to_string(most));
  return value;
}

VaeShape shape_of(const Config &config, const std::string &image_channels) {
  if (config.get<std::string>("act_fn", "silu") != "silu")
    config.fail("act_fn", "must be \"silu\"");
  VaeShape shape{number(config, image_channels, 3, max_channels),
                 number(config, "latent_channels", 4, max_channels),
                 config.get<std::vector<int64_t>>("block_out_channels", {64}),
                 number(config, "layers_per_block", 1, 64),
                 number(config, "norm_num_groups", 32, max_channels),
                 config.get<bool>("mid_block_add_attention", true)};
  const size_t blocks = shape.block_channels.size();
  if (blocks < 1 || blocks > 8) config.fail("block_out_channels", "must have 1 to 8 values");
  for (const int64_t channels : shape.block_channels)
    if (channels < 1 || channels > max_channels || channels % shape.groups != 0)
      config.fail(
          "block_out_channels",
          "must hold positive multiples of \"norm_num_groups\", not " + std::to_string(channels));
  require_types(config, "down_block_types", "DownEncoderBlock2D", blocks);
  require_types(config, "up_block_types", "UpDecoderBlock2D", blocks);
  return shape;
}

}  // namespace

AutoencoderKL::AutoencoderKL(const Config &config, const ParameterScope &scope, bool with_encoder)
    : latent_channels_(number(config, "latent_channels", 4, max_channels)),
      scaling_factor_(config.get<double>("scaling_factor", 0.18215)),
      decoder_(scope / "decoder", shape_of(config, "out_channels")) {
  if (!(scaling_factor_ > 0)) config.fail("scaling_factor", "must be positive");
  if (with_encoder) encoder_.emplace(scope / "encoder", shape_of(config, "in_channels"));
  if (with_encoder && config.get<bool>("use_quant_conv", true))
    quant_conv_.emplace(scope / "quant_conv", 2 * latent_channels_, 2 * latent_channels_, 1);
  if (config.get<bool>("use_post_quant_conv", true))
    post_quant_conv_.emplace(scope / "post_quant_conv", latent_channels_, latent_channels_, 1);
}

torch::Tensor AutoencoderKL::decode(const torch::Tensor &latents, const torch::Tensor &) {
  auto x = latents.to(decoder_.dtype(), /*non_blocking=*/false, /*copy=*/false,
                      at::MemoryFormat::ChannelsLast);
  if (post_quant_conv_) x = (*post_quant_conv_)(x);
  return decoder_(x).to(latents.scalar_type());
}

LatentDistribution AutoencoderKL::encode(const torch::Tensor &image) const {
  auto moments = encoder_.value()(image.to(encoder_->dtype(), /*non_blocking=*/false,
                                           /*copy=*/false, at::MemoryFormat::ChannelsLast));
  if (quant_conv_) moments = (*quant_conv_)(moments);
  const auto parts = moments.to(torch::kFloat).chunk(2, 1);
  return {parts[0], parts[1].clamp(-30, 20)};
}

}  // namespace livepeer
