// Products of bfloat16 matrices against those of libtorch in double precision.
#include <gtest/gtest.h>
#include <torch/utils.h>

#include "kernels/dispatch.h"
#include "kernels/matmul_bf16.h"

namespace livepeer {
namespace {

using kernels::gated_matmul_bf16_pays, kernels::matmul_bf16, kernels::matmul_bf16_pays;

/// Rounding the result costs 1.65e-3.
constexpr double tolerance = 1.8e-3;

torch::Tensor random(at::IntArrayRef shape) { return torch::randn(shape).to(torch::kBFloat16); }

torch::Tensor wide(const torch::Tensor &x) { return x.to(torch::kDouble); }

double relative_rms(const torch::Tensor &a, const torch::Tensor &b) {
  return ((wide(a) - b).square().mean() / b.square().mean()).sqrt().item<double>();
}

struct MatmulBF16 : testing::Test {
  void SetUp() override {
    torch::manual_seed(4);
    if (!matmul_bf16_pays(random({64, 64}), random({64, 64})))
      GTEST_SKIP() << "this processor has no AVX512-BF16";
  }
  const torch::NoGradGuard no_grad;
};

TEST_F(MatmulBF16, EqualsLibtorchs) {
  for (const auto &[in, out, rows] : {std::tuple(32, 16, 48), std::tuple(96, 112, 77),
                                      std::tuple(1056, 80, 203), std::tuple(4096, 640, 101)}) {
    const auto weight = random({out, in}), bias = random({out}), x = random({2, rows, in});
    ASSERT_TRUE(matmul_bf16_pays(x, weight));
    EXPECT_LT(
        relative_rms(matmul_bf16(x, weight, bias), at::linear(wide(x), wide(weight), wide(bias))),
        tolerance);
    EXPECT_LT(relative_rms(matmul_bf16(x, weight, {}), at::linear(wide(x), wide(weight))),
              tolerance);
  }
}

TEST_F(MatmulBF16, GatesOfGelu) {
  for (const auto &[in, out, rows] : {std::tuple(32, 64, 50), std::tuple(544, 448, 131)}) {
    const auto weight = random({out, in}) / 8, bias = random({out}), x = random({rows, in});
    ASSERT_TRUE(gated_matmul_bf16_pays(x, weight));
    const auto both = at::linear(wide(x), wide(weight), wide(bias)).chunk(2, -1);
    EXPECT_LT(
        relative_rms(matmul_bf16(x, weight, bias, /*gated=*/true), both[0] * at::gelu(both[1])),
        tolerance);
  }
}

TEST_F(MatmulBF16, IsAConvolutionOfOnePixel) {
  const auto weight = random({48, 96, 1, 1}), bias = random({48}), x = random({2, 96, 11, 13});
  for (const auto &layout : {x, x.contiguous(at::MemoryFormat::ChannelsLast)})
    EXPECT_LT(relative_rms(kernels::convolve(layout, weight, bias, 1, 0),
                           at::conv2d(wide(x), wide(weight), wide(bias))),
              tolerance);
}

TEST_F(MatmulBF16, ThreadsChangeNothing) {
  const auto weight = random({192, 64}), bias = random({192}), x = random({301, 64});
  const int before = at::get_num_threads();
  const auto whole = matmul_bf16(x, weight, bias);
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    EXPECT_TRUE(torch::equal(matmul_bf16(x, weight, bias), whole)) << threads;
  }
  at::set_num_threads(before);
}

}  // namespace
}  // namespace livepeer
