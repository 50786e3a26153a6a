// Products of bfloat16 matrices against those of libtorch in double precision.
#include <gtest/gtest.h>

#include "nn/layers.h"
#include "nn/product.h"

namespace livepeer {
namespace {

/// Rounding the result costs 1.65e-3.
constexpr double tolerance = 1.8e-3;

torch::Tensor random(at::IntArrayRef shape) { return torch::randn(shape).to(torch::kBFloat16); }

torch::Tensor wide(const torch::Tensor &x) { return x.to(torch::kDouble); }

double relative_rms(const torch::Tensor &a, const torch::Tensor &b) {
  return ((wide(a) - b).square().mean() / b.square().mean()).sqrt().item<double>();
}

struct Product : testing::Test {
  void SetUp() override {
    torch::manual_seed(4);
    if (!product_pays(random({64, 64}), random({64, 64})))
      GTEST_SKIP() << "this processor has no AVX512-BF16";
  }
  const torch::NoGradGuard no_grad;
};

TEST_F(Product, EqualsLibtorchs) {
  for (const auto &[in, out, rows] : {std::tuple(32, 16, 48), std::tuple(96, 112, 77),
                                      std::tuple(1056, 80, 203), std::tuple(4096, 640, 101)}) {
    const auto weight = random({out, in}), bias = random({out}), x = random({2, rows, in});
    ASSERT_TRUE(product_pays(x, weight));
    EXPECT_LT(relative_rms(product(x, weight, bias), at::linear(wide(x), wide(weight), wide(bias))),
              tolerance);
    EXPECT_LT(relative_rms(product(x, weight, {}), at::linear(wide(x), wide(weight))), tolerance);
  }
}

TEST_F(Product, GatesOfGelu) {
  for (const auto &[in, out, rows] : {std::tuple(32, 64, 50), std::tuple(544, 448, 131)}) {
    const auto weight = random({out, in}) / 8, bias = random({out}), x = random({rows, in});
    ASSERT_TRUE(gated_product_pays(x, weight));
    const auto both = at::linear(wide(x), wide(weight), wide(bias)).chunk(2, -1);
    EXPECT_LT(relative_rms(product(x, weight, bias, /*gated=*/true), both[0] * at::gelu(both[1])),
              tolerance);
  }
}

TEST_F(Product, IsAConvolutionOfOnePixel) {
  const auto weight = random({48, 96, 1, 1}), bias = random({48}), x = random({2, 96, 11, 13});
  for (const auto &layout : {x, x.contiguous(at::MemoryFormat::ChannelsLast)})
    EXPECT_LT(relative_rms(convolve(layout, weight, bias, 1, 0),
                           at::conv2d(wide(x), wide(weight), wide(bias))),
              tolerance);
}

TEST_F(Product, ThreadsChangeNothing) {
  const auto weight = random({192, 64}), bias = random({192}), x = random({301, 64});
  const int before = at::get_num_threads();
  const auto whole = product(x, weight, bias);
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    EXPECT_TRUE(torch::equal(product(x, weight, bias), whole)) << threads;
  }
  at::set_num_threads(before);
}

}  // namespace
}  // namespace livepeer
