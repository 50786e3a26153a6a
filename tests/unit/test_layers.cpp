// The CPU kernels against the plain operators of libtorch.

#include <gtest/gtest.h>
#include <torch/utils.h>

#include "kernels/dispatch.h"
#include "kernels/elementwise.h"
#include "nn/attention.h"
#include "nn/projection_cache.h"
#include "nn/upsample_2d.h"
#include "weights/random_parameters.h"

namespace livepeer {
namespace {

/// Parameters that are not 1 and 0, so that forgetting one shows.
class UnevenParameters : public ParameterSource {
 public:
  explicit UnevenParameters(torch::Dtype dtype) : dtype_(dtype) {}
  torch::Tensor get(std::initializer_list<std::string>, at::IntArrayRef shape) override {
    return (torch::randn(shape) * 0.3 + (shape.size() == 1 ? 0.8 : 0)).to(dtype_);
  }

 private:
  torch::Dtype dtype_;
};

double difference(const torch::Tensor &actual, const torch::Tensor &expected) {
  const auto reference = expected.to(torch::kDouble);
  return ((actual.to(torch::kDouble) - reference).abs().max() / reference.abs().max())
      .item<double>();
}

torch::Tensor channels_last(const torch::Tensor &x) {
  return x.contiguous(at::MemoryFormat::ChannelsLast);
}

class CpuKernels : public testing::TestWithParam<torch::Dtype> {
 protected:
  CpuKernels() { torch::manual_seed(5); }
  torch::Tensor random(at::IntArrayRef shape) const {
    return (torch::randn(shape) * 2 + 3).to(GetParam());
  }
  /// One rounding of the result.
  double tolerance() const { return GetParam() == torch::kFloat ? 3e-6 : 4e-3; }
  double tolerance_of_sums() const { return GetParam() == torch::kFloat ? 1e-5 : 1.5e-2; }

  const torch::NoGradGuard no_grad_;
  UnevenParameters parameters_{GetParam()};
};

TEST_P(CpuKernels, GroupNormAndSilu) {
  const auto wide = [](const torch::Tensor &t) { return t.to(torch::kDouble); };
  struct Shape {
    int64_t channels, groups, height, width;
  };
  for (const Shape &shape :
       {Shape{8, 2, 3, 5}, Shape{48, 8, 1, 1}, Shape{35, 7, 40, 37}, Shape{64, 32, 9, 2}}) {
    const GroupNorm norm(parameters_, shape.groups, shape.channels, 1e-5);
    const auto plain = [&](const torch::Tensor &y) {
      return at::group_norm(wide(y), shape.groups, wide(norm.weight), wide(norm.bias), 1e-5);
    };
    const auto offset = random({2, shape.channels});
    const auto x = random({2, shape.channels, shape.height, shape.width});
    const auto shifted = at::silu(plain(wide(x) + wide(offset).unsqueeze(2).unsqueeze(3)));
    for (const auto &layout : {x, channels_last(x)}) {
      EXPECT_LT(difference(norm(layout), plain(x)), tolerance());
      EXPECT_LT(difference(norm.silu(layout), at::silu(plain(x))), tolerance());
      EXPECT_LT(difference(norm.silu(layout, offset), shifted), tolerance());
      EXPECT_LT(difference(norm.silu_(layout.clone(), offset), shifted), tolerance());
    }
  }
}

/// Far from zero, where naive sums of squares cancel.
TEST_P(CpuKernels, GroupNormOfLargeMean) {
  const GroupNorm norm(parameters_, 2, 8, 1e-5);
  const auto x = (torch::randn({1, 8, 64, 64}) + 1000).to(GetParam());
  const auto expected = at::group_norm(x.to(torch::kDouble), 2, norm.weight.to(torch::kDouble),
                                       norm.bias.to(torch::kDouble), 1e-5);
  EXPECT_LT(difference(norm(x), expected), 10 * tolerance());
}

TEST_P(CpuKernels, NormsHandOnNaN) {
  const GroupNorm norm(parameters_, 2, 8, 1e-5);
  auto x = random({1, 8, 4, 4});
  x[0][0][1][1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(norm.silu(x).isnan().any().item<bool>());
  const LayerNorm layer_norm(parameters_, 4);
  EXPECT_TRUE(layer_norm(x).isnan().any().item<bool>());
  EXPECT_TRUE(attend(x, {x, x}).isnan().any().item<bool>());
}

TEST_P(CpuKernels, LayerNorm) {
  for (const int64_t channels : {1, 7, 32, 75, 320}) {
    const LayerNorm norm(parameters_, channels);
    const auto x = random({2, 19, channels});
    const auto expected =
        at::layer_norm(x.to(torch::kDouble), {channels}, norm.weight.to(torch::kDouble),
                       norm.bias.to(torch::kDouble), 1e-5);
    EXPECT_LT(difference(norm(x), expected), tolerance()) << channels;
  }
}

TEST_P(CpuKernels, Geglu) {
  for (const int64_t width : {1, 5, 64, 100}) {
    const auto x = (torch::randn({3, 11, 2 * width}) * 6).to(GetParam());
    const auto halves = x.to(torch::kDouble).chunk(2, -1);
    EXPECT_LT(difference(geglu(x), halves[0] * at::gelu(halves[1])), tolerance()) << width;
  }
}

TEST_P(CpuKernels, UpsampleNearest) {
  const auto x = random({2, 5, 4, 7});
  for (const auto &[height, width] : {std::pair(8, 14), std::pair(7, 13), std::pair(4, 7)}) {
    const auto expected = at::upsample_nearest2d(x.to(torch::kFloat), {height, width});
    EXPECT_TRUE(at::equal(upsample_nearest(x, height, width).to(torch::kFloat), expected));
  }
}

TEST_P(CpuKernels, UpsampleAndConvolve) {
  for (const auto &[channels, height, width] :
       {std::tuple(6, 1, 1), std::tuple(6, 5, 4), std::tuple(6, 8, 3), std::tuple(100, 7, 9),
        std::tuple(96, 12, 16)}) {
    torch::manual_seed(9);
    const Upsample2D upsample(parameters_, channels);
    torch::manual_seed(9);  // the same parameters
    const Conv2d conv(ParameterScope(parameters_), channels, channels, 3);
    const auto x = random({2, channels, height, width});
    for (const auto &[to_height, to_width] :
         {std::pair(2 * height, 2 * width), std::pair(2 * height - 1, 2 * width)}) {
      const auto expected =
          at::conv2d(at::upsample_nearest2d(x.to(torch::kFloat), {to_height, to_width}),
                     conv.weight.to(torch::kFloat), conv.bias.to(torch::kFloat), 1, 1);
      EXPECT_LT(difference(upsample(x, to_height, to_width), expected), tolerance_of_sums());
    }
  }
}

TEST_P(CpuKernels, LinearAsConvolution) {
  for (const auto &[in, out, rows] :
       {std::tuple(1, 1, 1), std::tuple(20, 32, 77), std::tuple(3, 1, 9), std::tuple(1, 7, 4)}) {
    const auto weight = random({out, in}), bias = random({out}), x = random({2, rows, in});
    const auto expected =
        at::linear(x.to(torch::kDouble), weight.to(torch::kDouble), bias.to(torch::kDouble));
    EXPECT_LT(difference(kernels::multiply(x, weight, bias), expected), tolerance_of_sums());
  }
}

/// Large enough for the algorithm of fewer products, in several bands, with odd sizes.
TEST_P(CpuKernels, ConvolutionOfManyPixels) {
  for (const auto &[in, out, height, width] :
       {std::tuple(96, 96, 32, 32), std::tuple(100, 130, 29, 27), std::tuple(512, 97, 51, 33),
        std::tuple(1030, 200, 6, 7)}) {
    const Conv2d conv(ParameterScope(parameters_), in, out, 3);
    const auto x = torch::randn({2, in, height, width}).to(GetParam());
    const auto expected = at::conv2d(x.to(torch::kDouble), conv.weight.to(torch::kDouble),
                                     conv.bias.to(torch::kDouble), 1, 1);
    for (const auto &layout : {x, channels_last(x)})
      EXPECT_LT(difference(conv(layout), expected), tolerance_of_sums()) << in << " " << out;
  }
}

/// More rows than one chunk holds, so that several are put together.
TEST_P(CpuKernels, AttentionInChunks) {
  const int64_t tokens = 3000, dim = 8;
  const auto q = torch::randn({1, 2, tokens, dim}).to(GetParam()),
             k = torch::randn({1, 2, tokens, dim}).to(GetParam()),
             v = torch::randn({1, 2, tokens, dim}).to(GetParam());
  const auto wide = [](const torch::Tensor &t) { return t.to(torch::kFloat); };
  for (const bool causal : {false, true}) {
    auto scores = at::matmul(wide(q), wide(k).transpose(2, 3)) / std::sqrt(double(dim));
    if (causal)
      scores.masked_fill_(torch::ones({tokens, tokens}, torch::kBool).triu(1),
                          -std::numeric_limits<float>::infinity());
    const auto expected =
        at::matmul(at::softmax(scores, -1), wide(v)).transpose(1, 2).reshape({1, tokens, 2 * dim});
    EXPECT_LT(difference(attend(q, {k, v}, causal), expected), tolerance_of_sums()) << causal;
  }
}

TEST_P(CpuKernels, AttentionOverManyKeys) {
  // More than one block of keys and of queries, whose largest scores lie in different blocks.
  const int64_t rows = 1100, tokens = 4500, dim = 16;
  const auto q = torch::randn({2, 1, rows, dim}).to(GetParam()),
             v = torch::randn({2, 1, tokens, dim}).to(GetParam());
  const auto growth = at::linspace(0.5, 3, tokens).view({tokens, 1});
  auto k = (torch::randn({2, 1, tokens, dim}) * growth).to(GetParam());
  const auto wide = [](const torch::Tensor &t) { return t.to(torch::kDouble); };
  const auto scores = at::matmul(wide(q), wide(k).transpose(2, 3)) / std::sqrt(double(dim));
  const auto expected = at::matmul(at::softmax(scores, -1), wide(v)).view({2, rows, dim});
  EXPECT_LT(difference(attend(q, {k, v}), expected), tolerance_of_sums());
  k[0][0][3000].fill_(std::numeric_limits<float>::quiet_NaN());
  const auto result = attend(q, {k, v});
  EXPECT_TRUE(result[0].isnan().all().item<bool>());
  EXPECT_FALSE(result[1].isnan().any().item<bool>());
}

TEST_P(CpuKernels, SameForAnyNumberOfThreads) {
  const GroupNorm norm(parameters_, 4, 96, 1e-5);
  const Conv2d conv(ParameterScope(parameters_), 96, 100, 3);
  const auto x = channels_last(random({2, 96, 61, 47}));
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const auto one = conv(norm.silu(x));
  for (const int threads : {2, 3}) {
    at::set_num_threads(threads);
    EXPECT_TRUE(at::equal(conv(norm.silu(x)), one)) << threads;
  }
  at::set_num_threads(before);
}

INSTANTIATE_TEST_SUITE_P(Types, CpuKernels, testing::Values(torch::kFloat, torch::kBFloat16),
                         [](const auto &info) {
                           return info.param == torch::kFloat ? "float32" : "bfloat16";
                         });

TEST(Layers, TakePartInAutograd) {
  UnevenParameters parameters(torch::kFloat);
  const GroupNorm norm(parameters, 2, 8, 1e-5);
  const Upsample2D upsample(parameters, 8);
  const Linear linear(ParameterScope(parameters), 5, 5);
  auto x = torch::randn({1, 8, 3, 5}, torch::requires_grad());
  linear(upsample(norm.silu(x), 6, 10).narrow(3, 0, 5)).sum().backward();
  EXPECT_TRUE(x.grad().defined());
  EXPECT_GT(x.grad().abs().max().item<double>(), 0);
}

TEST(ProjectionCache, ComputesOncePerInputAndModule) {
  ProjectionCache<int> cache(2);
  int inputs = 0, projections = 0;
  const int a = 0, b = 0;  // stand for modules
  const auto use = [&](const torch::Tensor &key, const void *module) {
    return cache
        .find({key},
              [&] {
                ++inputs;
                return key;
              })
        ->of(module, [&](const torch::Tensor &) { return ++projections; });
  };
  const auto first = torch::ones({3}), equal = torch::ones({3}), other = torch::zeros({3});
  const int of_first = use(first, &a);
  EXPECT_EQ(use(equal, &a), of_first);
  EXPECT_EQ(inputs, 1);
  EXPECT_NE(use(first, &b), of_first);
  EXPECT_NE(use(other, &a), of_first);
  EXPECT_EQ(inputs, 2);
  EXPECT_EQ(projections, 3);
  use(torch::ones({4}), &a);  // drops the one not used for longest: `first`
  use(other, &a);
  EXPECT_EQ(inputs, 3);
  use(first, &a);
  EXPECT_EQ(inputs, 4);
}

TEST(ProjectionCache, KeepsItsKeyWhenTheCallersTensorChanges) {
  ProjectionCache<int> cache(4);
  auto key = torch::ones({3});
  int made = 0;
  const auto make = [&] {
    ++made;
    return torch::ones({1});
  };
  cache.find({key}, make);
  key.add_(1);
  cache.find({key}, make);
  EXPECT_EQ(made, 2);
}

}  // namespace
}  // namespace livepeer
