#include "nn/vae/vae_coder.h"

#include "nn/output_observer.h"

namespace livepeer {
namespace {

/// diffusers fixes this for all norms of the class.
constexpr double eps = 1e-6;

VaeLevel level(const ParameterScope &scope, int64_t in, int64_t out, int64_t layers,
               int64_t groups) {
  VaeLevel result;
  result.path = scope.path();
  for (size_t i = 0; i < size_t(layers); ++i)
    result.resnets.emplace_back(scope / "resnets" / i, i == 0 ? in : out, out, groups, eps);
  return result;
}

}  // namespace

VaeMidBlock::VaeMidBlock(const ParameterScope &scope, int64_t channels, const VaeShape &shape)
    : path_(scope.path()),
      first_(scope / "resnets.0", channels, channels, shape.groups, eps),
      second_(scope / "resnets.1", channels, channels, shape.groups, eps) {
  if (!shape.mid_attention) return;
  const auto attention_scope = scope / "attentions.0";
  group_norm_.emplace(attention_scope / "group_norm", shape.groups, channels, eps);
  attention_.emplace(attention_scope, channels, channels, /*heads=*/1, /*qkv_bias=*/true);
}

torch::Tensor VaeMidBlock::attention(const torch::Tensor &x) const {
  const int64_t batch = x.size(0), channels = x.size(1), height = x.size(2), width = x.size(3);
  const auto pixels =
      (*group_norm_)(x).permute({0, 2, 3, 1}).reshape({batch, height * width, channels});
  return (*attention_)(pixels, attention_->project(pixels))
      .view({batch, height, width, channels})
      .permute({0, 3, 1, 2});
}

torch::Tensor VaeMidBlock::operator()(torch::Tensor x) const {
  x = first_(std::move(x));
  if (attention_) {
    x = add_branch(attention(x), x);
    OutputObserver::report(path_ + ".attentions.0", x);
  }
  x = second_(std::move(x));
  OutputObserver::report(path_, x);
  return x;
}

VaeEncoder::VaeEncoder(const ParameterScope &scope, const VaeShape &shape)
    : path_(scope.path()),
      conv_in_(scope / "conv_in", shape.image_channels, shape.block_channels.front(), 3),
      mid_block_(scope / "mid_block", shape.block_channels.back(), shape),
      conv_norm_out_(scope / "conv_norm_out", shape.groups, shape.block_channels.back(), eps),
      conv_out_(scope / "conv_out", shape.block_channels.back(), 2 * shape.latent_channels, 3) {
  const auto &channels = shape.block_channels;
  for (size_t i = 0; i < channels.size(); ++i) {
    const auto block = scope / "down_blocks" / i;
    down_blocks_.push_back(
        level(block, channels[i == 0 ? 0 : i - 1], channels[i], shape.layers, shape.groups));
    if (i + 1 == channels.size()) continue;
    down_blocks_.back().downsampler.emplace(block / "downsamplers.0.conv", channels[i], channels[i],
                                            3, 2, 0);
  }
}

torch::Tensor VaeEncoder::operator()(const torch::Tensor &image) const {
  auto x = conv_in_(image);
  for (const auto &block : down_blocks_) {
    for (const auto &resnet : block.resnets) x = resnet(std::move(x));
    if (block.downsampler) x = (*block.downsampler)(at::constant_pad_nd(x, {0, 1, 0, 1}));
    OutputObserver::report(block.path, x);
  }
  x = conv_out_(conv_norm_out_.silu(mid_block_(x)));
  OutputObserver::report(path_, x);
  return x;
}

VaeDecoder::VaeDecoder(const ParameterScope &scope, const VaeShape &shape)
    : conv_in_(scope / "conv_in", shape.latent_channels, shape.block_channels.back(), 3),
      mid_block_(scope / "mid_block", shape.block_channels.back(), shape),
      conv_norm_out_(scope / "conv_norm_out", shape.groups, shape.block_channels.front(), eps),
      conv_out_(scope / "conv_out", shape.block_channels.front(), shape.image_channels, 3) {
  const std::vector<int64_t> channels(shape.block_channels.rbegin(), shape.block_channels.rend());
  for (size_t i = 0; i < channels.size(); ++i) {
    const auto block = scope / "up_blocks" / i;
    up_blocks_.push_back(
        level(block, channels[i == 0 ? 0 : i - 1], channels[i], shape.layers + 1, shape.groups));
    if (i + 1 == channels.size()) continue;
    up_blocks_.back().upsampler.emplace(block / "upsamplers.0", channels[i]);
  }
}

torch::Tensor VaeDecoder::operator()(const torch::Tensor &latents) const {
  auto x = mid_block_(conv_in_(latents));
  for (const auto &block : up_blocks_) {
    for (const auto &resnet : block.resnets) x = resnet(std::move(x));
    if (block.upsampler) x = (*block.upsampler)(x, 2 * x.size(2), 2 * x.size(3));
    OutputObserver::report(block.path, x);
  }
  return conv_out_(conv_norm_out_.silu(x));
}

}  // namespace livepeer
