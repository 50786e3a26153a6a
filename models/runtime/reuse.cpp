#include "runtime/reuse.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace livepeer {
namespace {

constexpr int kBlock = 16;  // side of the squares that are compared, low-resolution pixels

int blocks(int size) { return (size + kBlock - 1) / kBlock; }

template <typename T>
bool block_changed(const Frame &a, const Frame &b, int bx, int by, double threshold) {
  const int x = bx * kBlock, y = by * kBlock;
  const int width = std::min(kBlock, a.width - x), height = std::min(kBlock, a.height - y);
  const size_t count = size_t(width) * 3;
  int64_t sum = 0;
  for (int row = y; row < y + height; ++row) {
    const T *p = a.row<T>(row) + size_t(x) * 3, *q = b.row<T>(row) + size_t(x) * 3;
    if (std::memcmp(p, q, count * sizeof(T)) == 0) continue;
    if (threshold <= 0) return true;
    for (size_t i = 0; i < count; ++i) sum += std::abs(int(p[i]) - int(q[i]));
  }
  const double range = double(a.samples.highest) - double(a.samples.lowest);
  return double(sum) * (range * 255 / a.samples.largest()) > threshold * double(count) * height;
}

bool touch(const Rect &a, const Rect &b) {
  return a.x <= b.x + b.width && b.x <= a.x + a.width && a.y <= b.y + b.height &&
         b.y <= a.y + a.height;
}

Rect united(const Rect &a, const Rect &b) {
  const int x = std::min(a.x, b.x), y = std::min(a.y, b.y);
  return {x, y, std::max(a.x + a.width, b.x + b.width) - x,
          std::max(a.y + a.height, b.y + b.height) - y};
}

/// Adds a rectangle and merges all that then touch, so that regions never overlap.
void add(std::vector<Rect> &regions, Rect rect) {
  for (size_t i = 0; i < regions.size();) {
    if (touch(regions[i], rect)) {
      rect = united(regions[i], rect);
      regions[i] = regions.back();
      regions.pop_back();
      i = 0;
    } else {
      ++i;
    }
  }
  regions.push_back(rect);
}

/// `from` with the regions of `to`.
std::shared_ptr<const Frame> composed(const Frame &from, const Frame &to,
                                      const std::vector<Rect> &regions) {
  const auto result = std::make_shared<Frame>(from);
  const size_t pixel = result->pixel_bytes();
  for (const Rect &r : regions)
    for (int y = r.y; y < r.y + r.height; ++y)
      std::memcpy(result->row(y) + size_t(r.x) * pixel, to.row(y) + size_t(r.x) * pixel,
                  size_t(r.width) * pixel);
  return result;
}

}  // namespace

ReusePlan ReuseState::plan(const JobRequest &request, const Noise &noise,
                           std::optional<int> radius) const {
  const Frame &frame = *request.low_res;
  ReusePlan plan;
  if (!high_res_ || request.reuse_threshold < 0 || frame.width != low_res_->width ||
      frame.height != low_res_->height || !(frame.samples == low_res_->samples) ||
      !(noise == noise_) || !same_but_seed(*request.settings, *settings_))
    return plan;
  plan.whole_frame = false;
  const auto changed = frame.samples.bytes == 1 ? block_changed<uint8_t> : block_changed<uint16_t>;

  // Runs of changed blocks, row by row; few runs whatever the picture.
  for (int by = 0; by < blocks(frame.height); ++by) {
    for (int bx = 0; bx < blocks(frame.width);) {
      const int first = bx;
      while (bx < blocks(frame.width) && changed(*low_res_, frame, bx, by, request.reuse_threshold))
        ++bx;
      if (bx > first) {
        if (!radius) return {};
        add(plan.regions, grown({first * kBlock, by * kBlock, (bx - first) * kBlock, kBlock},
                                *radius, frame.width, frame.height));
      }
      if (bx == first) ++bx;
    }
  }
  int64_t area = 0;
  for (const Rect &region : plan.regions) area += int64_t(region.width) * region.height;
  // Regions are computed with their surroundings, so nearly everything costs more than everything.
  if (area * 4 > int64_t(frame.width) * frame.height * 3) return {};
  return plan;
}

void ReuseState::remember(const JobRequest &request, const Noise &noise, const ReusePlan &plan,
                          std::shared_ptr<const Frame> high_res) {
  // Only what was computed becomes the new reference, so small differences cannot add up.
  low_res_ = plan.whole_frame || request.reuse_threshold <= 0
                 ? request.low_res
                 : composed(*low_res_, *request.low_res, plan.regions);
  settings_ = request.settings;
  noise_ = noise;
  high_res_ = std::move(high_res);
}

void ReuseState::forget() { *this = {}; }

}  // namespace livepeer
