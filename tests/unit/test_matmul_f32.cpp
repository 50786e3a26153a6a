// Products of float32 matrices against those of libtorch in double precision.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include <limits>

#include "kernels/dispatch.h"
#include "kernels/matmul_f32.h"

namespace livepeer {
namespace {

using kernels::matmul_f32;

double error(const torch::Tensor &a, const torch::Tensor &b) {
  return ((a.to(torch::kDouble) - b).abs().max() / b.abs().max()).item<double>();
}

torch::Tensor wide(const torch::Tensor &x) { return x.to(torch::kDouble); }

TEST(MatmulF32, EqualsLibtorchs) {
  torch::manual_seed(4);
  for (const auto &[in, out, rows] :
       {std::tuple(1, 16, 1), std::tuple(7, 48, 5), std::tuple(31, 80, 77), std::tuple(256, 64, 96),
        std::tuple(1056, 112, 203)}) {
    const auto weight = torch::randn({out, in}), bias = torch::randn({out}),
               x = torch::randn({2, rows, in});
    EXPECT_LT(error(matmul_f32(x, weight, bias), at::linear(wide(x), wide(weight), wide(bias))),
              1e-5)
        << in << " " << out << " " << rows;
    EXPECT_LT(error(matmul_f32(x, weight, {}), at::linear(wide(x), wide(weight))), 1e-5);
  }
}

TEST(MatmulF32, RowsAndThreadsChangeNothing) {
  torch::manual_seed(5);
  const auto weight = torch::randn({80, 300}), x = torch::randn({211, 300});
  const auto whole = matmul_f32(x, weight, {});
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    EXPECT_TRUE(torch::equal(matmul_f32(x, weight, {}), whole)) << threads;
  }
  for (const auto &[first, count] : {std::pair(0, 1), std::pair(3, 7), std::pair(100, 111)})
    EXPECT_TRUE(torch::equal(matmul_f32(x.narrow(0, first, count), weight, {}),
                             whole.narrow(0, first, count)));
}

TEST(MatmulF32, HandsOnNaN) {
  auto x = torch::ones({2, 32});
  x[1][5] = std::numeric_limits<float>::quiet_NaN();
  const auto y = matmul_f32(x, torch::ones({16, 32}), {});
  EXPECT_TRUE(torch::equal(y[0], torch::full({16}, 32.0F)));
  EXPECT_TRUE(y[1].isnan().all().item<bool>());
}

TEST(MatmulF32, IsAConvolutionOfOnePixel) {
  torch::manual_seed(6);
  const torch::NoGradGuard no_grad;
  const auto weight = torch::randn({48, 96, 1, 1}), bias = torch::randn({48}),
             x = torch::randn({2, 96, 11, 13});
  const auto wanted = at::conv2d(wide(x), wide(weight), wide(bias));
  for (const auto &layout : {x, x.contiguous(at::MemoryFormat::ChannelsLast)})
    EXPECT_LT(error(kernels::convolve(layout, weight, bias, 1, 0), wanted), 1e-5);
}

}  // namespace
}  // namespace livepeer
