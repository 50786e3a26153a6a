#include "safety/resize_bicubic.h"

#include <algorithm>
#include <cmath>

#include "kernels/cubic.h"

namespace livepeer {
namespace {

/// Bits behind the binary point: 8 of the pixel and 2 of headroom are left of 32.
constexpr int precision_bits = 32 - 8 - 2;

/// The weights that make one output pixel: of input pixels begin, begin + 1, ...
struct Taps {
  int begin;
  std::vector<int> weights;
};

/// For the output pixels begin, begin + 1, ... of `out`.
std::vector<Taps> bicubic_taps(int in, int64_t out, int begin, int count) {
  std::vector<Taps> taps(static_cast<size_t>(count));
  const double scale = double(in) / double(out);
  // Antialiasing: the filter widens with the reduction.
  const double stretch = std::max(scale, 1.0), support = 2 * stretch, unit = 1 / stretch;
  for (int i = 0; i < count; ++i) {
    auto &tap = taps[size_t(i)];
    if (in == out) {
      tap = {begin + i, {1 << precision_bits}};
      continue;
    }
    const double centre = (double(begin) + i + 0.5) * scale;
    tap.begin = std::max(0, int(centre - support + 0.5));
    const int end = std::min(in, int(centre + support + 0.5));
    std::vector<double> weights;
    double sum = 0;
    for (int j = tap.begin; j < end; ++j) {
      weights.push_back(kernels::cubic((j - centre + 0.5) * unit, -0.5));
      sum += weights.back();
    }
    for (double weight : weights) {
      if (sum != 0) weight /= sum;
      // Rounded to nearest, halves away from zero.
      tap.weights.push_back(
          int(std::trunc((weight < 0 ? -0.5 : 0.5) + weight * (1 << precision_bits))));
    }
  }
  return taps;
}

uint8_t to_pixel(int sum) { return uint8_t(std::clamp(sum >> precision_bits, 0, 255)); }

/// One output sample; `step` is the distance of the taps' samples.
uint8_t filter(const Taps &taps, const uint8_t *samples, size_t step) {
  int sum = 1 << (precision_bits - 1);
  for (const int weight : taps.weights) {
    sum += weight * *samples;
    samples += step;
  }
  return to_pixel(sum);
}

}  // namespace

Frame resize_bicubic(const Frame &frame, int64_t width, int64_t height, const Rect &window) {
  const auto columns = bicubic_taps(frame.width, width, window.x, window.width);
  const auto rows = bicubic_taps(frame.height, height, window.y, window.height);
  const int first = rows.front().begin, end = rows.back().begin + int(rows.back().weights.size());

  Frame narrow(window.width, end - first);
  for (int y = 0; y < narrow.height; ++y) {
    uint8_t *out = narrow.row(y);
    for (const Taps &tap : columns)
      for (size_t channel = 0; channel < 3; ++channel)
        *out++ = filter(tap, frame.row(first + y) + size_t(tap.begin) * 3 + channel, 3);
  }
  Frame result(window.width, window.height);
  const size_t stride = size_t(window.width) * 3;
  for (int y = 0; y < window.height; ++y) {
    const Taps &tap = rows[size_t(y)];
    for (size_t i = 0; i < stride; ++i)
      result.row(y)[i] = filter(tap, narrow.row(tap.begin - first) + i, stride);
  }
  return result;
}

Frame resize_bicubic(const Frame &frame, int width, int height) {
  return resize_bicubic(frame, width, height, {0, 0, width, height});
}

}  // namespace livepeer
