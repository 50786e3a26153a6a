#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace livepeer {

/// What the numbers of a frame are.
struct Samples {
  int bytes = 1;      ///< of one number: 1, or 2 in the machine's order
  float lowest = 0;   ///< what 0 stands for, and the largest number; black is 0 and white 1, beyond
  float highest = 1;  ///< them lies what a video signal holds and a screen does not show

  int largest() const { return bytes == 1 ? 255 : 65535; }
  float step() const { return (highest - lowest) / float(largest()); }
};

inline bool operator==(const Samples &a, const Samples &b) {
  return a.bytes == b.bytes && a.lowest == b.lowest && a.highest == b.highest;
}

/// RGB, row major, no padding between pixels or rows. Owns its pixels, so that a job never touches
/// memory of the pipeline.
struct Frame {
  int width = 0;
  int height = 0;
  Samples samples;
  std::vector<uint8_t> pixels;

  Frame() = default;
  Frame(int w, int h, Samples s = {})
      : width(w), height(h), samples(s), pixels(size_t(w) * size_t(h) * pixel_bytes()) {}
  bool empty() const { return pixels.empty(); }
  size_t pixel_bytes() const { return size_t(samples.bytes) * 3; }
  /// T is the type of the numbers; uint8_t also counts in bytes.
  template <typename T = uint8_t>
  const T *row(int y) const {
    return reinterpret_cast<const T *>(pixels.data() + size_t(y) * size_t(width) * pixel_bytes());
  }
  template <typename T = uint8_t>
  T *row(int y) {
    return reinterpret_cast<T *>(pixels.data() + size_t(y) * size_t(width) * pixel_bytes());
  }
};

/// What a screen shows of a frame, in one byte a number: `frame` itself where that is what it
/// holds, else a copy in `made`.
const Frame &in_8_bits(const Frame &frame, Frame &made);

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
