#include "kernels/dispatch.h"

#include "kernels/conv3x3_f32.h"
#include "kernels/conv3x3_s16.h"
#include "kernels/cpu_level.h"
#include "kernels/matmul_bf16.h"
#include "kernels/matmul_f32.h"
#include "kernels/tensors.h"

namespace livepeer::kernels {
namespace {

/// Whether `x` and `weight` are bfloat16 that is better computed with in float32: without the
/// instructions oneDNN gains nothing by it, and where it cannot, libtorch's own loops would take
/// hundreds of times as long, and round every partial sum.
bool is_emulated(const torch::Tensor &x, const torch::Tensor &weight) {
  return takes_kernels(x, weight, torch::kBFloat16) && cpu_level() < CpuLevel::avx512_bf16;
}

torch::Tensor widened(const torch::Tensor &x) { return x.defined() ? x.to(torch::kFloat) : x; }

/// multiply() by a kernel of our own; undefined where none pays.
torch::Tensor multiply_by_hand(const torch::Tensor &x, const torch::Tensor &weight,
                               const torch::Tensor &bias) {
  if (matmul_bf16_pays(x, weight)) return matmul_bf16(x, weight, bias);
  if (matmul_f32_pays(x, weight)) return matmul_f32(x, weight, bias);
  return {};
}

}  // namespace

torch::Tensor convolve(const torch::Tensor &x, const torch::Tensor &weight,
                       const torch::Tensor &bias, int64_t stride, int64_t padding) {
  if (is_wide(x, weight))
    return convolve(x.to(weight.scalar_type()), weight, bias, stride, padding);
  if (is_emulated(x, weight))
    return convolve(widened(x), widened(weight), widened(bias), stride, padding)
        .to(torch::kBFloat16);
  if (conv3x3_s16_pays(x, weight, stride, padding)) return conv3x3_s16(x, weight, bias);
  if (conv3x3_f32_pays(x, weight, stride, padding)) return conv3x3_f32(x, weight, bias);
  if (weight.size(2) == 1 && weight.size(3) == 1 && stride == 1 && padding == 0) {
    const auto product = multiply_by_hand(x.permute({0, 2, 3, 1}), weight.flatten(1), bias);
    if (product.defined()) return product.permute({0, 3, 1, 2});
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
  if (is_emulated(x, weight))
    return multiply(widened(x), widened(weight), widened(bias)).to(torch::kBFloat16);
  if (const auto product = multiply_by_hand(x, weight, bias); product.defined()) return product;
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

torch::Tensor multiply_batches(const torch::Tensor &a, const torch::Tensor &b) {
  if (is_emulated(a, b)) return multiply_batches(widened(a), widened(b)).to(torch::kBFloat16);
  // Not baddbmm with beta 0, which may read uninitialised memory (libtorch 1.13). bmm calls BLAS
  // for float32, which may be a slow one.
  if (!takes_kernels(a, b, torch::kFloat)) return at::bmm(a, b.transpose(1, 2));
  if (a.size(0) == 1) return multiply(a[0], b[0], {}).unsqueeze(0);
  auto result = torch::empty({a.size(0), a.size(1), b.size(1)}, a.options());
  for (int64_t i = 0; i < a.size(0); ++i) result.select(0, i).copy_(multiply(a[i], b[i], {}));
  return result;
}

torch::Tensor multiply_geglu(const torch::Tensor &x, const torch::Tensor &weight,
                             const torch::Tensor &bias) {
  if (!gated_matmul_bf16_pays(x, weight)) return {};
  return matmul_bf16(x, weight, bias, /*gated=*/true);
}

}  // namespace livepeer::kernels
