#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace livepeer {

/// 8-bit RGB, row major, 3 bytes a pixel, no padding between rows. Owns its pixels, so that a job
/// never touches memory of the pipeline.
struct Frame {
  int width = 0;
  int height = 0;
  std::vector<uint8_t> pixels;

  Frame() = default;
  Frame(int w, int h) : width(w), height(h), pixels(size_t(w) * size_t(h) * 3) {}
  bool empty() const { return pixels.empty(); }
  const uint8_t *row(int y) const { return pixels.data() + size_t(y) * size_t(width) * 3; }
  uint8_t *row(int y) { return pixels.data() + size_t(y) * size_t(width) * 3; }
};

/// A rectangle in pixels of the low-resolution frame.
struct Rect {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
};

/// A displacement by whole pixels of the low-resolution frame.
struct Shift {
  int x = 0;
  int y = 0;
};

inline bool operator==(const Shift &a, const Shift &b) { return a.x == b.x && a.y == b.y; }

/// `rect` with `margin` around it, as far as a frame of width x height reaches.
inline Rect grown(const Rect &rect, int margin, int width, int height) {
  const int x = std::max(rect.x - margin, 0), y = std::max(rect.y - margin, 0);
  return {x, y, std::min(rect.x + rect.width + margin, width) - x,
          std::min(rect.y + rect.height + margin, height) - y};
}

inline bool operator==(const Rect &a, const Rect &b) {
  return a.x == b.x && a.y == b.y && a.width == b.width && a.height == b.height;
}

}  // namespace livepeer
