#pragma once

#include <torch/types.h>

/// The set-up that 3x3 convolutions by transformed filters share.
namespace livepeer::kernels {

/// Whether `weight` is that of a 3x3 filter, moved by one pixel, whose result is as large as the
/// picture.
inline bool is_conv3x3(const torch::Tensor &weight, int64_t stride, int64_t padding) {
  return weight.size(2) == 3 && weight.size(3) == 3 && stride == 1 && padding == 1;
}

/// The tensors of one convolution, in the orders that the loops read and write.
struct Conv3x3Tensors {
  /// `x` [batch, in, h, w], `weight` [out, in, 3, 3], `bias` [out] or undefined; where `doubles`,
  /// of `x` enlarged to twice its height and width.
  Conv3x3Tensors(const torch::Tensor &x_, const torch::Tensor &weight_, const torch::Tensor &bias_,
                 bool doubles_)
      : x(x_.contiguous(at::MemoryFormat::ChannelsLast)),
        weight(weight_.contiguous(at::MemoryFormat::ChannelsLast)),
        bias(bias_.defined() ? bias_.to(torch::kFloat).contiguous()
                             : torch::zeros({weight_.size(0)}, torch::dtype(torch::kFloat))),
        doubles(doubles_),
        result(torch::empty({x.size(0), weight.size(0), (doubles ? 2 : 1) * x.size(2),
                             (doubles ? 2 : 1) * x.size(3)},
                            x.options(), at::MemoryFormat::ChannelsLast)) {}

  /// Their shapes and places in what the loops take.
  template <typename Convolution, typename Number>
  Convolution describe() const {
    Convolution conv{};
    conv.input = static_cast<const Number *>(x.data_ptr());
    conv.bias = bias.data_ptr<float>();
    conv.batch = x.size(0);
    conv.height = result.size(2);
    conv.width = result.size(3);
    conv.in = x.size(1);
    conv.out = weight.size(0);
    conv.doubles = doubles;
    conv.output = static_cast<Number *>(result.data_ptr());
    return conv;
  }

  torch::Tensor x, weight, bias;
  bool doubles;
  torch::Tensor result;
};

}  // namespace livepeer::kernels
