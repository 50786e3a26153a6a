#include "nn/upsample_2d.h"

#include "nn/cpu_kernels.h"
#include "nn/output_observer.h"
#include "nn/winograd_int16.h"

namespace livepeer {
namespace {

/// Two taps for three along `dim`: an even output pixel sees the input pixel before its own once
/// and its own twice, an odd one its own twice and the one behind once.
torch::Tensor fold_taps(const torch::Tensor &weight, int64_t dim, bool odd) {
  const auto tap = [&](int64_t i) { return weight.narrow(dim, i, 1); };
  return odd ? at::cat({tap(0) + tap(1), tap(2)}, dim) : at::cat({tap(0), tap(1) + tap(2)}, dim);
}

}  // namespace

Upsample2D::Upsample2D(const ParameterScope &scope, int64_t channels)
    : path_(scope.path()), conv_(scope / "conv", channels, channels, 3) {
  // Sums rounded to bfloat16 would cost more precision than diffusers loses (golden 5x7 decode).
  if (!takes_kernels(conv_.weight) || conv_.dtype() != torch::kFloat) return;
  for (size_t i = 0; i < quarters_.size(); ++i)
    quarters_[i] = fold_taps(fold_taps(conv_.weight, 2, i / 2 == 1), 3, i % 2 == 1)
                       .contiguous(at::MemoryFormat::ChannelsLast);
}

torch::Tensor Upsample2D::twice(const torch::Tensor &x) const {
  const int64_t height = x.size(2), width = x.size(3);
  auto result = torch::empty({x.size(0), x.size(1), 2 * height, 2 * width}, x.options(),
                             at::MemoryFormat::ChannelsLast);
  for (int64_t i = 0; i < 4; ++i) {
    const int64_t row = i / 2, column = i % 2;
    // Padded on all sides, the 2x2 convolution has one row and column too many: the last ones for
    // even pixels, the first ones for odd pixels.
    const auto part = convolve(x, quarters_[size_t(i)], conv_.bias, 1, 1)
                          .narrow(2, row, height)
                          .narrow(3, column, width);
    kernels::scatter_quarter(part, row, column, result);
  }
  return result;
}

torch::Tensor Upsample2D::operator()(const torch::Tensor &x_, int64_t height, int64_t width) const {
  const auto x = x_.to(conv_.dtype());  // before it is large
  const bool doubles = height == 2 * x.size(2) && width == 2 * x.size(3);
  auto result =
      doubles && takes_kernels(x) && quarters_[0].defined() && x.scalar_type() == conv_.dtype()
          ? twice(x)
      : doubles && winograd_int16_pays(x, conv_.weight, conv_.stride, conv_.padding)
          ? winograd_int16_convolve(x, conv_.weight, conv_.bias, /*doubles=*/true)
          : conv_(upsample_nearest(x, height, width));
  OutputObserver::report(path_, result);
  return result;
}

}  // namespace livepeer
