#pragma once

#include <torch/types.h>

namespace livepeer::kernels {

/// A 3x3 convolution with padding 1, prepared for float32 or bfloat16 pictures on a CPU, with what
/// comes after the sum. Faster than a direct one, and up to rounding equal to it: in float32 to
/// 1e-6 of the largest output; in bfloat16 products are rounded once more (the embedded model's
/// pictures are 63 to 72 dB from those in float32, against 64 to 73 dB with direct convolutions). A
/// result depends on its nine inputs and on whether its row and column are even; not on the
/// picture's size or the number of threads. See conv3x3_fused_loops.h.
class FusedConv3x3 {
 public:
  /// Whether this processor can, for parameters like `weight` [out, in, 3, 3]: `out` a multiple of
  /// 16, on the CPU, and no part of autograd.
  static bool can(const torch::Tensor &weight);

  /// `weight` [out, in, 3, 3], of the pictures' type; `bias` [out], of any floating type. `in` is
  /// rounded up to a multiple of 16 with zeros, see in_channels(). Keeps a copy.
  FusedConv3x3(const torch::Tensor &weight, const torch::Tensor &bias);
  int64_t in_channels() const { return in_; }

  struct Options {
    torch::Tensor factor, shift;  ///< float32 [out]: sums (with bias) times factor plus shift
    torch::Tensor residual;       ///< of the result's type; added
    bool relu = false;            ///< last of all
    bool to_float = false;        ///< a float32 result
    torch::Tensor into;           ///< memory for the result; may be the residual's, not the input's
  };
  /// `x` [1, in_channels(), h, w] of the weight's type, channels-last -> [1, out, h, w],
  /// channels-last.
  torch::Tensor operator()(const torch::Tensor &x, const Options &options) const;

 private:
  int64_t in_, out_;
  torch::Tensor weight_, bias_;
};

}  // namespace livepeer::kernels
