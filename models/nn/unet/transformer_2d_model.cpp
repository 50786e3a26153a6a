#include "nn/unet/transformer_2d_model.h"

#include "nn/output_observer.h"

namespace livepeer {
namespace {

/// diffusers fixes this, whatever the network's norm_eps says.
constexpr double transformer_norm_eps = 1e-6;

/// Stored as a linear layer, or as a 1x1 convolution, which is the same.
Linear projection(const ParameterScope &scope, int64_t channels, bool linear) {
  if (linear) return {scope, channels, channels};
  auto weight = scope.get("weight", {channels, channels, 1, 1});
  if (weight.defined()) weight = weight.flatten(1);
  return {scope, weight, scope.get("bias", {channels})};
}

}  // namespace

Transformer2DModel::Transformer2DModel(const ParameterScope &scope, int64_t channels,
                                       const TransformerShape &shape)
    : path_(scope.path()),
      norm_(scope / "norm", shape.groups, channels, transformer_norm_eps),
      proj_in_(projection(scope / "proj_in", channels, shape.use_linear_projection)),
      proj_out_(projection(scope / "proj_out", channels, shape.use_linear_projection)) {
  for (int64_t i = 0; i < shape.layers; ++i)
    blocks_.emplace_back(scope / "transformer_blocks" / size_t(i), channels, shape.text_channels,
                         shape.heads, shape.only_cross_attention);
}

torch::Tensor Transformer2DModel::operator()(const torch::Tensor &x_, TextProjections &text) const {
  const auto x = repeat_samples(x_, text.input().size(0));
  const int64_t batch = x.size(0), channels = x.size(1), height = x.size(2), width = x.size(3);
  // In channels-last order this is a view: [batch, h * w, channels].
  auto hidden = norm_(x).permute({0, 2, 3, 1}).reshape({batch, height * width, channels});
  hidden = proj_in_(hidden);
  for (const auto &block : blocks_) hidden = block(hidden, text);
  hidden = proj_out_(hidden).view({batch, height, width, channels}).permute({0, 3, 1, 2});
  hidden = add_branch(std::move(hidden), x);
  OutputObserver::report(path_, hidden);
  return hidden;
}

}  // namespace livepeer
