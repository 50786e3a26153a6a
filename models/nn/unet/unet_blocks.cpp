#include "nn/unet/unet_blocks.h"

#include "nn/output_observer.h"

namespace livepeer {
namespace {

/// In the type that holds both, like at::cat(), which takes ten times as long over mixed types.
torch::Tensor join_channels(const torch::Tensor &a, const torch::Tensor &b) {
  const auto type = at::result_type(a, b);
  return at::cat({a.to(type), b.to(type)}, 1);
}

}  // namespace

UNetDownBlock2D::UNetDownBlock2D(const ParameterScope &scope, int64_t in, int64_t out,
                                 const UNetBlockShape &shape,
                                 std::optional<int64_t> downsample_padding)
    : path_(scope.path()), downsampler_path_(path_ + ".downsamplers.0") {
  for (size_t i = 0; i < size_t(shape.layers); ++i) {
    resnets_.emplace_back(scope / "resnets" / i, i == 0 ? in : out, out, shape.groups,
                          shape.norm_eps, shape.time_channels);
    if (shape.transformer)
      attentions_.emplace_back(scope / "attentions" / i, out, *shape.transformer);
  }
  if (downsample_padding)
    downsampler_.emplace(scope / "downsamplers.0.conv", out, out, 3, 2, *downsample_padding);
}

torch::Tensor UNetDownBlock2D::run_layers(torch::Tensor x, const UNetConditions &conditions,
                                          std::vector<torch::Tensor> &skips, size_t from,
                                          size_t to) const {
  for (size_t i = from; i < to; ++i) {
    x = resnets_[i](std::move(x), &conditions.time);
    if (!attentions_.empty()) x = attentions_[i](x, conditions.text);
    skips.push_back(x);
  }
  return x;
}

torch::Tensor UNetDownBlock2D::downsample(torch::Tensor x,
                                          std::vector<torch::Tensor> &skips) const {
  if (downsampler_) {
    // Padding 0 stands for one row and column on the far sides only.
    x = (*downsampler_)(downsampler_->padding == 0 ? at::constant_pad_nd(x, {0, 1, 0, 1}) : x);
    OutputObserver::report(downsampler_path_, x);
    skips.push_back(x);
  }
  OutputObserver::report(path_, x);
  return x;
}

UNetMidBlock2DCrossAttn::UNetMidBlock2DCrossAttn(const ParameterScope &scope, int64_t channels,
                                                 const UNetBlockShape &shape)
    : path_(scope.path()),
      first_(scope / "resnets.0", channels, channels, shape.groups, shape.norm_eps,
             shape.time_channels),
      attention_(scope / "attentions.0", channels, *shape.transformer),
      second_(scope / "resnets.1", channels, channels, shape.groups, shape.norm_eps,
              shape.time_channels) {}

torch::Tensor UNetMidBlock2DCrossAttn::operator()(torch::Tensor x,
                                                  const UNetConditions &conditions) const {
  x = attention_(first_(x, &conditions.time), conditions.text);
  x = second_(x, &conditions.time);
  OutputObserver::report(path_, x);
  return x;
}

UNetUpBlock2D::UNetUpBlock2D(const ParameterScope &scope, int64_t in, int64_t out,
                             const std::vector<int64_t> &skip_channels, const UNetBlockShape &shape,
                             bool upsample)
    : path_(scope.path()) {
  for (size_t i = 0; i < skip_channels.size(); ++i) {
    resnets_.emplace_back(scope / "resnets" / i, (i == 0 ? in : out) + skip_channels[i], out,
                          shape.groups, shape.norm_eps, shape.time_channels);
    if (shape.transformer)
      attentions_.emplace_back(scope / "attentions" / i, out, *shape.transformer);
  }
  if (upsample) upsampler_.emplace(scope / "upsamplers.0", out);
}

torch::Tensor UNetUpBlock2D::run_layers(torch::Tensor x, const UNetConditions &conditions,
                                        std::vector<torch::Tensor> &skips, size_t from,
                                        size_t to) const {
  for (size_t i = from; i < to; ++i) {
    x = join_channels(x, repeat_samples(skips.back(), x.size(0)));
    skips.pop_back();
    x = resnets_[i](std::move(x), &conditions.time);
    if (!attentions_.empty()) x = attentions_[i](x, conditions.text);
  }
  return x;
}

torch::Tensor UNetUpBlock2D::upsample(torch::Tensor x,
                                      const std::vector<torch::Tensor> &skips) const {
  if (upsampler_) {
    const auto &skip = skips.back();
    x = (*upsampler_)(x, skip.size(2), skip.size(3));
  }
  OutputObserver::report(path_, x);
  return x;
}

}  // namespace livepeer
