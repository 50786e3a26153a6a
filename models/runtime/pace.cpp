#include "runtime/pace.h"

#include <algorithm>

namespace livepeer {

void Pace::expect(const Kind &kind) {
  probing_ = false;  // of a frame that came to nothing
  if (kind == kind_) return;
  *this = {};
  kind_ = kind;
}

void Pace::ran(nanoseconds time, Time now) {
  const bool unchanged = probing_ && time > mean_ * 3 / 4;
  patience_ = unchanged ? std::min(patience_ * 2, kMostPatience) : kPatience;
  // The second inference and a probe say how it is now, whatever was before.
  mean_ = inferences_ < 2 || probing_ ? time : (mean_ * 4 + time) / 5;
  ++inferences_;
  probing_ = false;
  last_ = now;
}

bool Pace::probe(Time now) {
  probing_ = now - last_ >= patience_;
  return probing_;
}

Pace::nanoseconds Pace::demand() const {
  if (inferences_ == 0) return nanoseconds(0);
  return mean_ + mean_ / 8 + std::chrono::milliseconds(3);
}

}  // namespace livepeer
