#include "safety/mobilenet_v2.h"

#include <string>

namespace livepeer {
namespace {

// Table 2 of the paper: expansion, channels, blocks, stride of the first one.
constexpr struct {
  int64_t expansion, channels, blocks, stride;
} stages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
              {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
constexpr int64_t stem_channels = 32, block_channels = 320, last_channels = 1280;
constexpr int64_t hidden_channels[] = {256, 128};

}  // namespace

MobileNetV2::Convolution::Convolution(const ParameterScope &scope, int64_t in, int64_t out,
                                      int64_t kernel, int64_t stride_, int64_t groups_)
    : bias(scope.get("bias", {out})), stride(stride_), groups(groups_) {
  const auto per_channel = [&](const char *name) {
    return scope.get(name, {out}).view({out, 1, 1, 1});
  };
  weight = scope.get("weight", {out, in / groups, kernel, kernel}) * per_channel("weight_scale") +
           per_channel("weight_min");
}

torch::Tensor MobileNetV2::Convolution::operator()(const torch::Tensor &x) const {
  // Keras pads for a stride of 2 at the right and at the bottom only.
  const int64_t padding = stride == 1 ? weight.size(2) / 2 : 0;
  const auto padded = stride == 1 ? x : at::constant_pad_nd(x, {0, 1, 0, 1});
  return at::conv2d(padded, weight, bias, stride, padding, /*dilation=*/1, groups);
}

torch::Tensor MobileNetV2::Block::operator()(const torch::Tensor &x) const {
  const auto wide = expand ? at::relu6((*expand)(x)) : x;
  const auto narrow = project(at::relu6(depthwise(wide)));
  return residual ? x + narrow : narrow;
}

MobileNetV2::MobileNetV2(const ParameterScope &scope, int64_t labels)
    : stem_(scope / "Conv1", 3, stem_channels, 3, 2),
      last_(scope / "Conv_1", block_channels, last_channels),
      hidden_{{scope / "dense_1", last_channels, hidden_channels[0]},
              {scope / "dense_2", hidden_channels[0], hidden_channels[1]}},
      head_(scope / "dense_3", hidden_channels[1], labels) {
  int64_t in = stem_channels;
  for (const auto &stage : stages) {
    for (int64_t i = 0; i < stage.blocks; ++i) {
      const std::string name =
          blocks_.empty() ? "expanded_conv_" : "block_" + std::to_string(blocks_.size()) + "_";
      const int64_t wide = in * stage.expansion, stride = i == 0 ? stage.stride : 1;
      std::optional<Convolution> expand;
      if (wide != in) expand.emplace(scope / (name + "expand"), in, wide);
      blocks_.push_back({std::move(expand),
                         {scope / (name + "depthwise"), wide, wide, 3, stride, wide},
                         {scope / (name + "project"), wide, stage.channels},
                         stride == 1 && in == stage.channels});
      in = stage.channels;
    }
  }
}

torch::Tensor MobileNetV2::forward(const torch::Tensor &pictures) const {
  auto x = at::relu6(stem_(pictures));
  for (const Block &block : blocks_) x = block(x);
  x = at::relu6(last_(x)).mean({2, 3}, /*keepdim=*/true);
  for (const Convolution &layer : hidden_) x = at::relu(layer(x));
  return at::softmax(head_(x).flatten(1), 1);
}

}  // namespace livepeer
