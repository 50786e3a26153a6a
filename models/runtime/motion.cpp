#include "runtime/motion.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <vector>

namespace livepeer {
namespace {

constexpr int kShrink = 4;        // the coarse search runs on means of so many pixels each way
constexpr int kCoarseReach = 5;   // in shrunk pixels
constexpr int kFineReach = 4;     // in pixels, around the coarse result
constexpr double kClearly = 0.7;  // of the difference when standing still
constexpr int kSamples = 20000;   // compared pixels per displacement, about

struct Luma {
  int width, height;
  std::vector<uint8_t> values;
  int at(int x, int y) const { return values[size_t(y) * size_t(width) + size_t(x)]; }
};

Luma luma_of(const Frame &frame) {
  Luma luma{frame.width, frame.height, {}};
  luma.values.reserve(frame.pixels.size() / 3);
  for (size_t i = 0; i < frame.pixels.size(); i += 3)
    luma.values.push_back(
        uint8_t((frame.pixels[i] + 2 * frame.pixels[i + 1] + frame.pixels[i + 2]) / 4));
  return luma;
}

Luma shrunk(const Luma &in) {
  Luma out{in.width / kShrink, in.height / kShrink, {}};
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      int sum = 0;
      for (int v = 0; v < kShrink; ++v)
        for (int u = 0; u < kShrink; ++u) sum += in.at(x * kShrink + u, y * kShrink + v);
      out.values.push_back(uint8_t(sum / (kShrink * kShrink)));
    }
  }
  return out;
}

/// Mean difference where the displaced frames overlap.
double difference(const Luma &from, const Luma &to, Shift shift) {
  const int x0 = std::max(0, shift.x), x1 = std::min(to.width, to.width + shift.x);
  const int y0 = std::max(0, shift.y), y1 = std::min(to.height, to.height + shift.y);
  if (x1 - x0 < to.width / 2 || y1 - y0 < to.height / 2 || x1 <= x0 || y1 <= y0)
    return std::numeric_limits<double>::infinity();
  const int stride = std::max(1, (x1 - x0) * (y1 - y0) / kSamples);
  int64_t sum = 0, count = 0;
  for (int y = y0; y < y1; ++y) {
    for (int x = x0 + y % stride; x < x1; x += stride, ++count)
      sum += std::abs(to.at(x, y) - from.at(x - shift.x, y - shift.y));
  }
  return count ? double(sum) / double(count) : std::numeric_limits<double>::infinity();
}

Shift best(const Luma &from, const Luma &to, Shift centre, int reach) {
  Shift found = centre;
  double least = difference(from, to, centre);
  for (int y = centre.y - reach; y <= centre.y + reach; ++y) {
    for (int x = centre.x - reach; x <= centre.x + reach; ++x) {
      const double d = difference(from, to, {x, y});
      if (d < least) {
        least = d;
        found = {x, y};
      }
    }
  }
  return found;
}

}  // namespace

Shift estimate_shift(const Frame &from, const Frame &to) {
  if (from.width != to.width || from.height != to.height || from.empty()) return {};
  const Luma a = luma_of(from), b = luma_of(to);
  const double still = difference(a, b, {});
  if (still == 0) return {};
  Shift shift = best(shrunk(a), shrunk(b), {}, kCoarseReach);
  shift = best(a, b, {shift.x * kShrink, shift.y * kShrink}, kFineReach);
  return difference(a, b, shift) < kClearly * still ? shift : Shift{};
}

}  // namespace livepeer
