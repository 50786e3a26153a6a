// The convolution in whole numbers against libtorch's in double precision.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include <limits>

#include "kernels/conv3x3_s16.h"

namespace livepeer {
namespace {

using kernels::conv3x3_s16, kernels::conv3x3_s16_pays;

torch::Tensor half(const torch::Tensor &x) {
  return x.to(torch::kBFloat16).contiguous(at::MemoryFormat::ChannelsLast);
}

/// Of a filter of its own for each channel count.
struct Layer {
  Layer(int64_t in, int64_t out)
      : weight(half(torch::randn({out, in, 3, 3}))),
        bias(half(torch::randn({out, 1, 1, 1})).view({out})) {}
  torch::Tensor operator()(const torch::Tensor &x, bool doubles = false) const {
    return conv3x3_s16(x, weight, bias, doubles);
  }
  torch::Tensor direct(const torch::Tensor &x) const {
    return at::conv2d(x.to(torch::kDouble), weight.to(torch::kDouble), bias.to(torch::kDouble), 1,
                      1);
  }
  torch::Tensor weight, bias;
};

double relative_rms(const torch::Tensor &a, const torch::Tensor &b) {
  return ((a.to(torch::kDouble) - b).square().mean() / b.square().mean()).sqrt().item<double>();
}

struct Conv3x3S16 : testing::Test {
  void SetUp() override {
    torch::manual_seed(3);
    const auto x = half(torch::zeros({1, 96, 32, 32}));
    if (!conv3x3_s16_pays(x, half(torch::zeros({96, 96, 3, 3})), 1, 1))
      GTEST_SKIP() << "this processor has no AVX512-VNNI";
  }
  const torch::NoGradGuard no_grad;
};

/// Rounding the result alone costs 1.65e-3.
constexpr double tolerance = 2.1e-3;

TEST_F(Conv3x3S16, EqualsADirectConvolution) {
  for (const auto &[in, out] :
       {std::pair<int64_t, int64_t>{16, 16}, {48, 80}, {96, 144}, {1040, 64}})
    for (const auto &[batch, h, w] :
         {std::tuple(1, 1, 1), std::tuple(3, 2, 3), std::tuple(2, 7, 53), std::tuple(1, 36, 53)}) {
      const Layer layer(in, out);
      const auto x = half(torch::randn({batch, in, h, w}) + 0.5);
      EXPECT_LT(relative_rms(layer(x), layer.direct(x)), tolerance) << in << " " << out << " " << w;
    }
}

TEST_F(Conv3x3S16, RepeatsPixels) {
  for (const auto &[h, w] : {std::pair<int64_t, int64_t>{1, 1}, {2, 3}, {7, 50}}) {
    const Layer layer(48, 80);
    const auto x = half(torch::randn({2, 48, h, w}));
    const auto twice = x.repeat_interleave(2, 2).repeat_interleave(2, 3);
    EXPECT_LT(relative_rms(layer(x, /*doubles=*/true), layer.direct(twice)), tolerance);
  }
}

/// More filters than are transformed at a time, one of them zero, on pictures partly zero.
TEST_F(Conv3x3S16, BandsOfFiltersAndZeros) {
  for (const auto &[in, out, h, w] : {std::tuple(1040, 656, 9, 9), std::tuple(512, 1040, 36, 42)}) {
    const Layer layer(in, out);
    layer.weight[3].zero_();
    const auto x = half(torch::randn({1, in, h, w}));
    x.narrow(2, 0, 6).zero_();
    EXPECT_LT(relative_rms(layer(x), layer.direct(x)), tolerance) << in << " " << out;
  }
}

/// Pictures from about 24x24 pixels on take tiles of 4x4 outputs, smaller ones tiles of 2x2.
struct Conv3x3S16Tiles : Conv3x3S16, testing::WithParamInterface<int64_t> {
  const int64_t side = GetParam();
};
INSTANTIATE_TEST_SUITE_P(, Conv3x3S16Tiles, testing::Values(8, 40),
                         [](const auto &side) { return "side" + std::to_string(side.param); });

/// Every tile has a scale of its own.
TEST_P(Conv3x3S16Tiles, AreExactForSmallNumbersBesideLargeOnes) {
  const Layer layer(96, 96);
  const auto x = torch::randn({1, 96, side, 60});
  x.narrow(3, 0, 30).mul_(1e-6);
  layer.bias.zero_();
  const auto y = layer(half(x)), wanted = layer.direct(half(x));
  EXPECT_LT(relative_rms(y.narrow(3, 0, 28), wanted.narrow(3, 0, 28)), tolerance);
}

TEST_P(Conv3x3S16Tiles, HandOnNaN) {
  const Layer layer(96, 96);
  const auto x = half(torch::randn({1, 96, side, side}));
  x[0][5][5][5] = std::numeric_limits<float>::quiet_NaN();
  const auto y = layer(x);
  EXPECT_TRUE(y.narrow(2, 4, 3).narrow(3, 4, 3).isnan().all().item<bool>());
  EXPECT_FALSE(y.narrow(3, 0, 3).isnan().any().item<bool>());
}

TEST_F(Conv3x3S16, ThreadsChangeNothing) {
  const Layer layer(96, 192);
  const auto x = half(torch::randn({2, 96, 33, 31}));
  const int before = at::get_num_threads();
  const auto whole = layer(x);
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    EXPECT_TRUE(torch::equal(layer(x), whole)) << threads;
  }
  at::set_num_threads(before);
}

}  // namespace
}  // namespace livepeer
