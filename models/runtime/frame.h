#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
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

/// Leaves numbers as they are in memory where no value is given for them.
template <typename T>
struct UnsetAllocator : std::allocator<T> {
  template <typename U>
  struct rebind {
    using other = UnsetAllocator<U>;
  };
  template <typename U>
  void construct(U *at) {
    ::new (static_cast<void *>(at)) U;
  }
  template <typename U, typename... Values>
  void construct(U *at, Values &&...values) {
    ::new (static_cast<void *>(at)) U(std::forward<Values>(values)...);
  }
};

/// Megabytes that are about to be written need no zeros first: Bytes(n) is unset, Bytes(n, 0) not.
using Bytes = std::vector<uint8_t, UnsetAllocator<uint8_t>>;

/// RGB, row major, no padding between pixels or rows. Owns its pixels, so that a job never touches
/// memory of the pipeline.
struct Frame {
  int width = 0;
  int height = 0;
  Samples samples;
  Bytes pixels;

  Frame() = default;
  Frame(int w, int h, Samples s = {}) : Frame(w, h, s, Bytes(size_of(w, h, s))) {
    std::fill(pixels.begin(), pixels.end(), uint8_t(0));
  }
  // A vector with an allocator of its own copies number by number; this is one move of memory.
  Frame(const Frame &other)
      : Frame(other.width, other.height, other.samples, Bytes(other.pixels.size())) {
    std::copy(other.pixels.begin(), other.pixels.end(), pixels.begin());
  }
  Frame(Frame &&) = default;
  Frame &operator=(const Frame &other) { return *this = Frame(other); }
  Frame &operator=(Frame &&) = default;
  /// For whoever writes every pixel.
  static Frame unset(int w, int h, Samples s = {}) { return {w, h, s, Bytes(size_of(w, h, s))}; }
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

 private:
  Frame(int w, int h, Samples s, Bytes p) : width(w), height(h), samples(s), pixels(std::move(p)) {}
  static size_t size_of(int w, int h, const Samples &s) {
    return size_t(w) * size_t(h) * size_t(s.bytes) * 3;
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

/// A part of a frame, to write to; the frame must outlive it.
class FramePart {
 public:
  FramePart(Frame &frame) : FramePart(frame, {0, 0, frame.width, frame.height}) {}
  /// `rect` in the frame's own pixels.
  FramePart(Frame &frame, const Rect &rect)
      : width(rect.width),
        height(rect.height),
        samples(frame.samples),
        frame_(frame),
        rect_(rect) {}
  /// As Frame::row, of the part.
  template <typename T = uint8_t>
  T *row(int y) const {
    return frame_.row<T>(rect_.y + y) + size_t(rect_.x) * frame_.pixel_bytes() / sizeof(T);
  }

  const int width, height;
  const Samples samples;

 private:
  Frame &frame_;
  const Rect rect_;
};

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
