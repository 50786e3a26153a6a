// The prepared convolution against libtorch's direct one. Not compared with diffusers: the embedded
// model is this project's own.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include "kernels/conv3x3_fused.h"

namespace livepeer {
namespace {

using kernels::FusedConv3x3;

/// For each type of numbers, with the largest error of a result in it, relative to all results.
struct FusedConv3x3Test : testing::TestWithParam<std::pair<torch::ScalarType, double>> {
  void SetUp() override {
    if (!FusedConv3x3::can(typed(torch::ones({16, 16, 3, 3}))))
      GTEST_SKIP() << "this processor has no AVX512-BF16";
    torch::manual_seed(3);
  }
  static torch::Tensor typed(const torch::Tensor &x) { return x.to(GetParam().first); }
  static torch::Tensor picture(const torch::Tensor &x) {
    return typed(x).contiguous(at::MemoryFormat::ChannelsLast);
  }
  static torch::Tensor direct(const torch::Tensor &x, const torch::Tensor &weight,
                              const torch::Tensor &bias) {
    return at::conv2d(x.to(torch::kFloat), weight.to(torch::kFloat), bias, 1, 1);
  }
  static double error(const torch::Tensor &a, const torch::Tensor &b) {
    return ((a.to(torch::kFloat) - b).square().mean() / b.square().mean()).sqrt().item<double>();
  }
  static double allowed() { return GetParam().second; }
};

TEST_P(FusedConv3x3Test, EqualsADirectConvolution) {
  for (const auto &[in, out] : {std::pair<int64_t, int64_t>{48, 48}, {48, 16}, {64, 64}, {16, 112}})
    for (const auto &[h, w] : {std::pair<int64_t, int64_t>{1, 1}, {2, 3}, {7, 50}, {16, 97}}) {
      const auto x = picture(torch::randn({1, in, h, w}));
      const auto weight = typed(torch::randn({out, in, 3, 3}));
      const auto bias = torch::randn({out});
      const auto wanted = direct(x, weight, bias);
      const FusedConv3x3 conv(weight, bias);
      FusedConv3x3::Options options;
      options.to_float = true;
      EXPECT_LT(error(conv(x, options), wanted), allowed())
          << in << " " << out << " " << h << " " << w;
      EXPECT_LT(error(conv(x, {}), wanted), 1.2 * allowed());
    }
}

TEST_P(FusedConv3x3Test, ExactWhereNothingIsRounded) {
  // Small whole numbers: sums of 4 and quarters of 9 of them fit into a bfloat16.
  const auto x = picture(torch::randint(-8, 9, {1, 16, 9, 10}).to(torch::kFloat));
  const auto weight = typed(torch::randint(-3, 4, {16, 16, 3, 3}));
  const auto bias = torch::randn({16});
  FusedConv3x3::Options options;
  options.to_float = true;
  EXPECT_TRUE(torch::allclose(FusedConv3x3(weight, bias)(x, options), direct(x, weight, bias)));
}

TEST_P(FusedConv3x3Test, WhatComesAfterTheSum) {
  const auto x = picture(torch::randn({1, 32, 6, 11}));
  const auto weight = typed(torch::randn({48, 32, 3, 3}) / 10), bias = torch::randn({48});
  const auto factor = torch::randn({48}), shift = torch::randn({48});
  const auto residual = picture(torch::randn({1, 48, 6, 11}));
  const auto per_channel = [](const torch::Tensor &v) { return v.view({1, -1, 1, 1}); };
  const auto wanted = at::relu(direct(x, weight, bias) * per_channel(factor) + per_channel(shift) +
                               residual.to(torch::kFloat));
  const FusedConv3x3 conv(weight, bias);
  EXPECT_LT(error(conv(x, {factor, shift, residual, true, true, {}}), wanted), 1.2 * allowed());
  // In the residual's own memory.
  const auto apart = conv(x, {factor, shift, residual, true, false, {}});
  EXPECT_TRUE(torch::equal(conv(x, {factor, shift, residual, true, false, residual}), apart));
}

TEST_P(FusedConv3x3Test, MissingInputChannelsAreZero) {
  const auto x = picture(torch::randn({1, 16, 5, 5}));
  x.narrow(1, 3, 13).zero_();
  const auto weight = typed(torch::randn({16, 3, 3, 3})), bias = torch::zeros({16});
  const FusedConv3x3 conv(weight, bias);
  ASSERT_EQ(conv.in_channels(), 16);
  EXPECT_LT(error(conv(x, {}), direct(x.narrow(1, 0, 3), weight, bias)), 1.2 * allowed());
}

TEST_P(FusedConv3x3Test, PartsAndThreadsChangeNothing) {
  const auto x = picture(torch::randn({1, 48, 41, 70}));
  const FusedConv3x3 conv(typed(torch::randn({48, 48, 3, 3})), torch::randn({48}));
  const auto whole = conv(x, {});
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    EXPECT_TRUE(torch::equal(conv(x, {}), whole)) << threads;
  }
  for (const auto &[y, h] : {std::pair<int64_t, int64_t>{0, 20}, {6, 21}, {20, 21}})
    for (const auto &[left, w] : {std::pair<int64_t, int64_t>{0, 33}, {2, 68}, {14, 9}}) {
      const auto part = conv(picture(x.narrow(2, y, h).narrow(3, left, w)), {});
      // Its border misses the neighbours that the whole has.
      EXPECT_TRUE(torch::equal(part.slice(2, 1, h - 1).slice(3, 1, w - 1),
                               whole.slice(2, y + 1, y + h - 1).slice(3, left + 1, left + w - 1)))
          << left << ", " << y;
    }
}

INSTANTIATE_TEST_SUITE_P(Types, FusedConv3x3Test,
                         testing::Values(std::pair(torch::kFloat, 1e-6),
                                         std::pair(torch::kBFloat16, 0.005)),
                         [](const auto &test) {
                           return test.param.first == torch::kFloat ? "float32" : "bfloat16";
                         });

}  // namespace
}  // namespace livepeer
