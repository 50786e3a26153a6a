// Times what the engine computes a layer with against the library, for the shapes of the embedded
// and of the real model:
//
//   bench_kernels [float32|bfloat16] [THREADS]
//
// Prints the ratio of the times, library over ours, for each layer: the median of rounds in which
// both run in turns, on the same tensors, in the order that the library likes. Fails where what is
// chosen is slower than the library.

#include <ATen/Parallel.h>
#include <ATen/ops/mkldnn_convolution.h>
#include <torch/utils.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "kernels/conv3x3_fused.h"
#include "kernels/cpu_level.h"
#include "kernels/dispatch.h"
#include "nn/attention.h"

namespace livepeer {
namespace {

constexpr int rounds = 7;
/// Less is a slower kernel; the rest is what rounds differ by.
constexpr double least_ratio = 0.97;

struct ConvShape {
  int64_t in, out, kernel, height, width;
};
struct ProductShape {
  int64_t in, out, rows;
};

// Channels into each convolution of the embedded denoiser, padded as they are there.
constexpr ConvShape embedded[] = {
    {16, 48, 3, 180, 320}, {64, 48, 3, 180, 320}, {48, 48, 3, 180, 320}, {48, 16, 3, 180, 320}};
// A latent of 64x64 through the x4 upscaler's UNet, and its decoder.
constexpr ConvShape real_convolutions[] = {
    {7, 256, 3, 64, 64},     {256, 256, 3, 64, 64},   {512, 256, 3, 64, 64},
    {768, 256, 3, 64, 64},   {768, 256, 1, 64, 64},   {256, 512, 3, 32, 32},
    {512, 512, 3, 32, 32},   {1024, 512, 3, 32, 32},  {1024, 512, 1, 32, 32},
    {512, 512, 3, 16, 16},   {1536, 512, 3, 16, 16},  {512, 1024, 3, 8, 8},
    {1024, 1024, 3, 8, 8},   {2048, 1024, 3, 8, 8},   {512, 512, 3, 64, 64},
    {512, 512, 3, 128, 128}, {512, 256, 3, 128, 128}, {256, 256, 3, 256, 256},
    {256, 128, 3, 256, 256}, {128, 128, 3, 256, 256}, {128, 3, 3, 256, 256}};
constexpr ProductShape real_products[] = {{512, 512, 1024}, {512, 4096, 1024}, {2048, 512, 1024},
                                          {512, 512, 256},  {1024, 1024, 64},  {1024, 8192, 64},
                                          {4096, 1024, 64}, {1024, 512, 77},   {1024, 1024, 77}};

template <typename Work>
double milliseconds(Work work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
      .count();
}

double median(std::array<double, rounds> values) {
  std::sort(values.begin(), values.end());
  return values[rounds / 2];
}

class Bench {
 public:
  explicit Bench(torch::Dtype dtype) : dtype_(dtype) {}

  void run() {
    for (const ConvShape &shape : embedded) fused(shape);
    for (const ConvShape &shape : real_convolutions) convolution(shape);
    for (const ProductShape &shape : real_products) product(shape);
    attention(/*tokens=*/4096, /*dim=*/512);
    attention(/*tokens=*/16384, /*dim=*/512);
  }
  bool failed() const { return failed_; }

 private:
  torch::Tensor picture(int64_t channels, const ConvShape &shape) const {
    return torch::randn({1, channels, shape.height, shape.width})
        .to(dtype_)
        .contiguous(at::MemoryFormat::ChannelsLast);
  }
  torch::Tensor filters(const ConvShape &shape) const {
    return torch::randn({shape.out, shape.in, shape.kernel, shape.kernel})
        .to(dtype_)
        .contiguous(at::MemoryFormat::ChannelsLast);
  }
  static std::string describe(const ConvShape &shape) {
    return std::to_string(shape.kernel) + "x" + std::to_string(shape.kernel) + " " +
           std::to_string(shape.in) + " -> " + std::to_string(shape.out) + " at " +
           std::to_string(shape.width) + "x" + std::to_string(shape.height);
  }

  void fused(const ConvShape &shape) {
    const auto x = picture(shape.in, shape), weight = filters(shape),
               bias = torch::randn({shape.out});
    if (!kernels::FusedConv3x3::can(weight)) return;
    const kernels::FusedConv3x3 conv(weight, bias);
    // What follows the sum in a block of the network, which the library does apart.
    const auto residual = picture(shape.out, shape);
    const auto typed_bias = bias.to(dtype_);
    compare(
        "fused " + describe(shape),
        [&] {
          conv(x, {{}, {}, residual, true, false, {}});
        },
        [&] {
          at::mkldnn_convolution(x, weight, typed_bias, {1, 1}, {1, 1}, {1, 1}, 1)
              .add_(residual)
              .relu_();
        });
  }

  void convolution(const ConvShape &shape) {
    const auto x = picture(shape.in, shape), weight = filters(shape),
               bias = torch::randn({shape.out}).to(dtype_);
    const int64_t padding = shape.kernel / 2;
    compare(
        describe(shape), [&] { kernels::convolve(x, weight, bias, 1, padding); },
        [&] {
          at::mkldnn_convolution(x, weight, bias, {padding, padding}, {1, 1}, {1, 1}, 1);
        });
  }

  void product(const ProductShape &shape) {
    const auto x = torch::randn({1, shape.rows, shape.in}).to(dtype_),
               weight = torch::randn({shape.out, shape.in}).to(dtype_),
               bias = torch::randn({shape.out}).to(dtype_);
    compare(
        std::to_string(shape.rows) + " x " + std::to_string(shape.in) + " -> " +
            std::to_string(shape.out),
        [&] { kernels::multiply(x, weight, bias); }, [&] { at::linear(x, weight, bias); });
  }

  /// Over all pixels, as in the middle of the decoder; the library's with the whole matrix of
  /// scores, of as many rows as a gibibyte holds.
  void attention(int64_t tokens, int64_t dim) {
    const int64_t rows = std::min(tokens, (int64_t(1) << 28) / tokens);
    const auto q = torch::randn({1, 1, rows, dim}).to(dtype_),
               k = torch::randn({1, 1, tokens, dim}).to(dtype_),
               v = torch::randn({1, 1, tokens, dim}).to(dtype_);
    compare(
        "attention " + std::to_string(rows) + " x " + std::to_string(tokens),
        [&] {
          attend(q, {k, v});
        },
        [&] {
          at::matmul(at::softmax(at::matmul(q, k.transpose(2, 3)) / std::sqrt(double(dim)), -1), v);
        });
  }

  template <typename Ours, typename Library>
  void compare(const std::string &what, Ours ours, Library library) {
    ours();
    library();
    std::array<double, rounds> our_times{}, library_times{}, ratios{};
    for (size_t round = 0; round < rounds; ++round) {
      our_times[round] = milliseconds(ours);
      library_times[round] = milliseconds(library);
      ratios[round] = library_times[round] / our_times[round];
    }
    const double ratio = median(ratios);
    const bool slower = ratio < least_ratio;
    failed_ = failed_ || slower;
    std::printf("%-36s %9.3f ms   library %9.3f ms   %5.2f%s\n", what.c_str(), median(our_times),
                median(library_times), ratio, slower ? "   slower" : "");
    std::fflush(stdout);
  }

  torch::Dtype dtype_;
  bool failed_ = false;
};

}  // namespace
}  // namespace livepeer

int main(int count, char **arguments) {
  using namespace livepeer;
  const torch::NoGradGuard no_grad;
  kernels::cap_library();
  const std::string type = count > 1 ? arguments[1] : "float32";
  at::set_num_threads(count > 2 ? std::atoi(arguments[2]) : 1);
  torch::manual_seed(1);
  std::printf("%s, %d threads, %s\n", type.c_str(), at::get_num_threads(),
              kernels::cpu_level_and_why().c_str());
  Bench bench(type == "bfloat16" ? torch::kBFloat16 : torch::kFloat32);
  bench.run();
  return bench.failed();
}
