#include "nn/winograd_float.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>

#include "nn/layers.h"
#include "nn/winograd_float_rows.h"

namespace livepeer {
namespace {

/// Bytes of transformed input at a time: many rows for each product's filters, which oneDNN packs
/// anew, and not much more than the last-level cache holds.
constexpr int64_t band_bytes = 16 << 20;
/// Fewer tiles cost more for transforming the filters than they save; fewer channels, for the
/// tiles. So narrow networks, those of bounded reach among them, whose tiles must agree with the
/// whole picture to the bit, are computed directly.
constexpr int64_t min_tiles = 256, min_channels = 96;

float *data(const torch::Tensor &x) { return x.data_ptr<float>(); }

/// [16, out, in].
torch::Tensor transform_filters(const torch::Tensor &weight_) {
  const auto weight = weight_.contiguous(at::MemoryFormat::ChannelsLast);
  const int64_t out = weight.size(0), in = weight.size(1);
  auto planes = torch::empty({16, out, in}, weight.options());
  at::parallel_for(0, out, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      kernels::rows::winograd_filter(data(weight) + i * 9 * in, in, data(planes) + i * in,
                                     out * in);
  });
  return planes;
}

/// The tiles of a batch of pictures, counted row by row and picture by picture.
struct Tiling {
  explicit Tiling(const torch::Tensor &x) : height(x.size(2)), width(x.size(3)) {}

  int64_t count(int64_t batch) const { return batch * rows() * columns(); }
  int64_t rows() const { return (height + 1) / 2; }
  int64_t columns() const { return (width + 1) / 2; }

  /// Pointers to size x size pixels of `picture` (channels-last, `channels` wide), the first at
  /// `offset` from the tile's; `outside` for those that are none.
  template <size_t size>
  std::array<float *, size * size> pixels(float *picture, int64_t channels, int64_t tile,
                                          int64_t offset, float *outside) const {
    const int64_t x0 = tile % columns() * 2 + offset;
    const int64_t y0 = tile / columns() % rows() * 2 + offset;
    float *first = picture + tile / (columns() * rows()) * height * width * channels;
    std::array<float *, size * size> result;
    for (size_t i = 0; i < result.size(); ++i) {
      const int64_t x = x0 + int64_t(i % size), y = y0 + int64_t(i / size);
      const bool inside = x >= 0 && x < width && y >= 0 && y < height;
      result[i] = inside ? first + (y * width + x) * channels : outside;
    }
    return result;
  }

  int64_t height, width;
};

}  // namespace

bool winograd_pays(const torch::Tensor &x, const torch::Tensor &weight, int64_t stride,
                   int64_t padding) {
  // bfloat16 would be rounded four times as often, and exceed what diffusers loses.
  if (x.scalar_type() != torch::kFloat) return false;
  if (weight.size(2) != 3 || weight.size(3) != 3 || stride != 1 || padding != 1) return false;
  const int64_t tiles = x.size(0) * ((x.size(2) + 1) / 2) * ((x.size(3) + 1) / 2);
  return tiles >= min_tiles && x.size(1) >= min_channels && weight.size(0) >= min_channels;
}

torch::Tensor winograd_convolve(const torch::Tensor &x_, const torch::Tensor &weight,
                                const torch::Tensor &bias) {
  const auto x = x_.contiguous(at::MemoryFormat::ChannelsLast);
  const int64_t batch = x.size(0), in = x.size(1), out = weight.size(0);
  const Tiling tiling(x);
  const auto filters = transform_filters(weight);
  const auto zeros = torch::zeros({in}, x.options());
  const auto offsets = bias.defined() ? bias.to(torch::kFloat).contiguous()
                                      : torch::zeros({out}, torch::dtype(torch::kFloat));
  auto result =
      torch::empty({batch, out, x.size(2), x.size(3)}, x.options(), at::MemoryFormat::ChannelsLast);
  const int64_t tiles = tiling.count(batch);
  const int64_t band = std::max<int64_t>(64, band_bytes / (16 * in * int64_t(sizeof(float))));
  for (int64_t start = 0; start < tiles; start += band) {
    const int64_t count = std::min(band, tiles - start);
    const auto input = torch::empty({16, count, in}, x.options());
    at::parallel_for(0, count, 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        kernels::rows::winograd_input(
            tiling.pixels<4>(data(x), in, start + i, -1, data(zeros)).data(), in,
            data(input) + i * in, count * in);
    });
    std::array<torch::Tensor, 16> products;
    for (int64_t plane = 0; plane < 16; ++plane)
      products[size_t(plane)] = multiply(input[plane], filters[plane], {}).contiguous();
    at::parallel_for(0, count, 16, [&](int64_t begin, int64_t end) {
      auto outside = std::vector<float>(size_t(out));
      for (int64_t i = begin; i < end; ++i) {
        std::array<const float *, 16> planes;
        for (size_t plane = 0; plane < 16; ++plane) planes[plane] = data(products[plane]) + i * out;
        kernels::rows::winograd_output(
            planes.data(), offsets.data_ptr<float>(), out,
            tiling.pixels<2>(data(result), out, start + i, 0, outside.data()).data());
      }
    });
  }
  return result;
}

}  // namespace livepeer
