#pragma once

#include <array>
#include <chrono>
#include <optional>

#include "runtime/frame.h"
#include "runtime/model.h"

namespace livepeer {

/// Keeps verdicts steady within a shot: what is flagged once stays flagged until the picture cuts
/// or until half a second of the stream was clear.
class SafetyHold {
 public:
  using nanoseconds = std::chrono::nanoseconds;

  /// The verdict that holds for a frame, in 8 bits, whose own is `verdict`. `time` is its place in
  /// the stream; without one a frame counts as 40 ms.
  SafetyVerdict apply(SafetyVerdict verdict, const Frame &low_res, std::optional<nanoseconds> time);
  void forget() { *this = {}; }

 private:
  static constexpr int kGrid = 8;
  using Means = std::array<uint8_t, size_t(kGrid) * kGrid * 3>;
  static Means means_of(const Frame &frame);
  bool is_cut(const Means &means) const;

  Means means_{};  // of the frame before
  nanoseconds time_{0};
  std::optional<nanoseconds> flagged_;  // when a frame of this shot was flagged last
};

}  // namespace livepeer
