#include "kernels/dispatch.h"

#include "kernels/conv3x3_f32.h"
#include "kernels/conv3x3_s16.h"
#include "kernels/matmul_bf16.h"
#include "kernels/tensors.h"

namespace livepeer::kernels {

torch::Tensor convolve(const torch::Tensor &x, const torch::Tensor &weight,
                       const torch::Tensor &bias, int64_t stride, int64_t padding) {
  if (is_wide(x, weight))
    return convolve(x.to(weight.scalar_type()), weight, bias, stride, padding);
  if (conv3x3_s16_pays(x, weight, stride, padding)) return conv3x3_s16(x, weight, bias);
  if (conv3x3_f32_pays(x, weight, stride, padding)) return conv3x3_f32(x, weight, bias);
  if (weight.size(2) == 1 && weight.size(3) == 1 && stride == 1 && padding == 0) {
    const auto pixels = x.permute({0, 2, 3, 1}), matrix = weight.flatten(1);
    if (matmul_bf16_pays(pixels, matrix))
      return matmul_bf16(pixels, matrix, bias).permute({0, 3, 1, 2});
  }
  // Left to itself, libtorch takes BLAS for float32 where it has one thread only. bfloat16 it gives
  // to oneDNN on all machines that compute in it.
  if (x.numel() > 0 && x.scalar_type() == torch::kFloat && takes_kernels(x, weight) &&
      at::hasMKLDNN())
    return at::mkldnn_convolution(x, weight, bias, {padding, padding}, {stride, stride}, {1, 1}, 1);
  return at::conv2d(x, weight, bias, stride, padding);
}

torch::Tensor convolve_doubled(const torch::Tensor &x, const torch::Tensor &weight,
                               const torch::Tensor &bias, int64_t padding) {
  if (conv3x3_f32_pays(x, weight, /*stride=*/1, padding))
    return conv3x3_f32(x, weight, bias, /*doubles=*/true);
  if (conv3x3_s16_pays(x, weight, /*stride=*/1, padding))
    return conv3x3_s16(x, weight, bias, /*doubles=*/true);
  return {};
}

torch::Tensor multiply(const torch::Tensor &x, const torch::Tensor &weight,
                       const torch::Tensor &bias) {
  if (is_wide(x, weight)) return multiply(x.to(weight.scalar_type()), weight, bias);
  if (matmul_bf16_pays(x, weight)) return matmul_bf16(x, weight, bias);
  // oneDNN multiplies bfloat16 matrices anyway, and few rows faster than it convolves them.
  if (x.numel() == 0 || !takes_kernels(x, weight) || x.scalar_type() == torch::kBFloat16)
    return at::linear(x, weight, bias);
  // As a 1x1 convolution of a picture one pixel wide, in channels-last order.
  const int64_t in = weight.size(1), out = weight.size(0), rows = x.numel() / in;
  const auto picture = x.reshape({1, rows, 1, in}).permute({0, 3, 1, 2});
  auto sizes = x.sizes().vec();
  sizes.back() = out;
  return convolve(picture, weight.view({out, in, 1, 1}), bias, 1, 0)
      .permute({0, 2, 3, 1})
      .reshape(sizes);
}

torch::Tensor multiply_geglu(const torch::Tensor &x, const torch::Tensor &weight,
                             const torch::Tensor &bias) {
  if (!gated_matmul_bf16_pays(x, weight)) return {};
  return matmul_bf16(x, weight, bias, /*gated=*/true);
}

}  // namespace livepeer::kernels
