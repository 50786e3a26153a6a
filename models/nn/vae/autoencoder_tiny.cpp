#include "nn/vae/autoencoder_tiny.h"

#include <cmath>

namespace livepeer {
namespace {

constexpr int64_t max_channels = 1 << 16, max_blocks = 64;

void require_value(const Config &config, const std::string &key, const nlohmann::json &value) {
  if (config.has(key) && config.json()[key] != value)
    config.fail(key, "must be " + value.dump() + " to be evaluated");
}

std::vector<int64_t> list(const Config &config, const std::string &key,
                          std::vector<int64_t> fallback, int64_t most) {
  auto values = config.get<std::vector<int64_t>>(key, std::move(fallback));
  if (values.empty() || values.size() > 8) config.fail(key, "must have 1 to 8 values");
  for (const int64_t value : values)
    if (value < 1 || value > most)
      config.fail(key, "must hold values from 1 to " + std::to_string(most));
  return values;
}

/// All stages of one side have the same width: their blocks have no convolution in the shortcut.
int64_t width_of(const Config &config, const std::string &key, size_t stages) {
  const auto widths = list(config, key, std::vector<int64_t>(stages, 64), max_channels);
  if (widths.size() != stages) config.fail(key, "must have one value for each stage of blocks");
  for (const int64_t width : widths)
    if (width != widths.front()) config.fail(key, "must hold equal values");
  return widths.front();
}

}  // namespace

AutoencoderTiny::Block::Block(const ParameterScope &scope, int64_t channels) {
  for (const size_t index : {0, 2, 4})
    convolutions.emplace_back(scope / "conv" / index, channels, channels, 3);
}

torch::Tensor AutoencoderTiny::Block::operator()(const torch::Tensor &x) const {
  auto hidden = convolutions[0](x).relu_();
  hidden = convolutions[1](hidden).relu_();
  return convolutions[2](hidden).add_(x).relu_();
}

AutoencoderTiny::AutoencoderTiny(const Config &config, const ParameterScope &scope)
    : latent_channels_(config.get<int64_t>("latent_channels", 4)),
      scaling_factor_(config.get<double>("scaling_factor", 1.0)) {
  require_value(config, "act_fn", "relu");
  require_value(config, "upsampling_scaling_factor", 2);
  require_value(config, "upsample_fn", "nearest");
  if (!(scaling_factor_ > 0)) config.fail("scaling_factor", "must be positive");
  if (latent_channels_ < 1 || latent_channels_ > max_channels)
    config.fail("latent_channels", "must be 1 to " + std::to_string(max_channels));
  const auto encoder_blocks = list(config, "num_encoder_blocks", {1, 3, 3, 3}, max_blocks);
  const auto decoder_blocks = list(config, "num_decoder_blocks", {3, 3, 3, 1}, max_blocks);
  const int64_t encoder_width =
      width_of(config, "encoder_block_out_channels", encoder_blocks.size());
  const int64_t decoder_width =
      width_of(config, "decoder_block_out_channels", decoder_blocks.size());

  // The parameters are numbered through all layers, those without parameters included.
  size_t layer = 0;
  const auto encoder_layers = scope / "encoder.layers";
  for (size_t stage = 0; stage < encoder_blocks.size(); ++stage) {
    if (stage == 0)
      encoder_in_.emplace_back(encoder_layers / layer++, config.get<int64_t>("in_channels", 3),
                               encoder_width, 3);
    else
      encoder_in_.emplace_back(encoder_layers / layer++, encoder_width, encoder_width, 3, 2, 1,
                               /*has_bias=*/false);
    encoder_.emplace_back();
    for (int64_t i = 0; i < encoder_blocks[stage]; ++i)
      encoder_.back().emplace_back(encoder_layers / layer++, encoder_width);
  }
  encoder_out_.emplace_back(encoder_layers / layer, encoder_width, latent_channels_, 3);

  const auto decoder_layers = scope / "decoder.layers";
  decoder_in_.emplace_back(decoder_layers / size_t(0), latent_channels_, decoder_width, 3);
  layer = 2;  // 1: ReLU
  for (size_t stage = 0; stage < decoder_blocks.size(); ++stage) {
    const bool last = stage + 1 == decoder_blocks.size();
    std::vector<Block> blocks;
    for (int64_t i = 0; i < decoder_blocks[stage]; ++i)
      blocks.emplace_back(decoder_layers / layer++, decoder_width);
    if (!last) ++layer;  // upsampling
    Conv2d out(decoder_layers / layer++, decoder_width,
               last ? config.get<int64_t>("out_channels", 3) : decoder_width, 3, 1, 1,
               /*has_bias=*/last);
    decoder_.push_back({std::move(blocks), std::move(out)});
  }
}

torch::Tensor AutoencoderTiny::decode(const torch::Tensor &latents, const torch::Tensor &) {
  const auto &conv_in = decoder_in_.front();
  auto x = latents.to(conv_in.dtype(), /*non_blocking=*/false, /*copy=*/false,
                      at::MemoryFormat::ChannelsLast);
  x = conv_in(at::tanh(x / 3) * 3).relu_();
  for (const auto &stage : decoder_) {
    for (const auto &block : stage.blocks) x = block(x);
    if (&stage != &decoder_.back()) x = upsample_nearest(x, 2 * x.size(2), 2 * x.size(3));
    x = stage.out(x);
  }
  return x.mul(2).sub(1).to(latents.scalar_type());
}

torch::Tensor AutoencoderTiny::encode(const torch::Tensor &image) const {
  auto x = (image.to(encoder_out_.front().dtype(), /*non_blocking=*/false, /*copy=*/false,
                     at::MemoryFormat::ChannelsLast) +
            1) /
           2;
  for (size_t stage = 0; stage < encoder_.size(); ++stage) {
    x = encoder_in_[stage](x);
    for (const auto &block : encoder_[stage]) x = block(x);
  }
  return encoder_out_.front()(x).to(image.scalar_type());
}

std::optional<int64_t> AutoencoderTiny::receptive_radius() const {
  // Each 3x3 convolution reaches one pixel of its own resolution further, in latent pixels 1/scale.
  double radius = 1, scale = 1;
  for (const auto &stage : decoder_) {
    radius += 3 * double(stage.blocks.size()) / scale;
    if (&stage != &decoder_.back()) scale *= 2;
    radius += 1 / scale;
  }
  return int64_t(std::ceil(radius));
}

}  // namespace livepeer
