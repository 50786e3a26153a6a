#include "runtime/safety_hold.h"

#include <cstdlib>

namespace livepeer {
namespace {

constexpr std::chrono::milliseconds kHold(500);
constexpr std::chrono::milliseconds kFrame(40);
constexpr int kSamples = 8;         // along each side of a cell
constexpr int kCutDifference = 24;  // between cells' means, on average

}  // namespace

SafetyHold::Means SafetyHold::means_of(const Frame &frame) {
  Means means{};
  for (int cell = 0; cell < kGrid * kGrid; ++cell) {
    int sums[3] = {0, 0, 0};
    for (int sample = 0; sample < kSamples * kSamples; ++sample) {
      const int across = cell % kGrid * kSamples + sample % kSamples;
      const int down = cell / kGrid * kSamples + sample / kSamples;
      const int64_t x = int64_t(across) * frame.width / (kGrid * kSamples);
      const int64_t y = int64_t(down) * frame.height / (kGrid * kSamples);
      for (int c = 0; c < 3; ++c) sums[c] += frame.row(int(y))[x * 3 + c];
    }
    for (int c = 0; c < 3; ++c)
      means[size_t(cell) * 3 + size_t(c)] = uint8_t(sums[c] / (kSamples * kSamples));
  }
  return means;
}

bool SafetyHold::is_cut(const Means &means) const {
  int sum = 0;
  for (size_t i = 0; i < means.size(); ++i) sum += std::abs(int(means[i]) - int(means_[i]));
  return sum > kCutDifference * int(means.size());
}

SafetyVerdict SafetyHold::apply(SafetyVerdict verdict, const Frame &low_res,
                                std::optional<nanoseconds> time) {
  const Means means = means_of(low_res);
  time_ = time.value_or(time_ + kFrame);
  // Backwards, too: a stream may be played in reverse.
  if (flagged_ && (std::chrono::abs(time_ - *flagged_) > kHold || is_cut(means))) flagged_.reset();
  means_ = means;
  if (verdict.nsfw) flagged_ = time_;
  verdict.nsfw = flagged_.has_value();
  return verdict;
}

}  // namespace livepeer
