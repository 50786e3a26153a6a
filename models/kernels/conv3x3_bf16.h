#pragma once

#include <torch/types.h>

#include <vector>

#include "kernels/conv3x3_bf16_loops.h"

namespace livepeer::kernels {

/// A 3x3 convolution with padding 1, prepared for bfloat16 pictures on CPUs that have the
/// instructions for it. Faster than a direct one, up to bfloat16's rounding equal to it: products
/// are rounded once more, sums are float32 (the embedded model's pictures are 63 to 72 dB from
/// those in float32, against 64 to 73 dB with direct convolutions). A result depends on its nine
/// inputs and on whether its row and column are even; not on the picture's size or the number of
/// threads.
class Conv3x3BF16 {
 public:
  /// Whether this processor can, for these channel counts (multiples of 16).
  static bool can(int64_t in, int64_t out);

  /// `weight` [out, in, 3, 3], `bias` [out], of any floating type. `in` is rounded up to a
  /// multiple of 16 with zeros, see in_channels().
  Conv3x3BF16(const torch::Tensor &weight, const torch::Tensor &bias);
  int64_t in_channels() const { return in_; }

  struct Options {
    torch::Tensor factor, shift;  ///< float32 [out]: sums (with bias) times factor plus shift
    torch::Tensor residual;       ///< bfloat16, like the result; added
    bool relu = false;            ///< last of all
    bool to_float = false;        ///< a float32 result
    torch::Tensor into;           ///< memory for the result; may be the residual's, not the input's
  };
  /// `x` [1, in_channels(), h, w] bfloat16, channels-last -> [1, out, h, w], channels-last.
  torch::Tensor operator()(const torch::Tensor &x, const Options &options) const;

 private:
  int64_t in_, out_;
  std::vector<BFloat16> weight_;
  torch::Tensor bias_;
};

}  // namespace livepeer::kernels
