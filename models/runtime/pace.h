#pragma once

#include <chrono>
#include <tuple>

#include "runtime/model.h"

namespace livepeer {

/// How long one inference takes, learnt from those that ran: what tells whether a frame would be
/// late. Neither a slow spell nor old settings may condemn the frames after them.
class Pace {
 public:
  using nanoseconds = std::chrono::nanoseconds;
  using Time = std::chrono::steady_clock::time_point;
  /// All that the time depends on: width, height, steps, guidance, sampler.
  using Kind = std::tuple<int, int, unsigned, bool, SchedulerKind>;

  /// Before each frame: forgets what was learnt of another kind of inference.
  void expect(const Kind &kind);
  /// An inference of that kind took `time` and ended `now`. The first one of a kind also prepares
  /// what later ones find ready: it counts only as long as it is the only one to tell of.
  void ran(nanoseconds time, Time now);
  /// Whether a frame that demand() makes late is to be inferred all the same, because the last
  /// inference is long ago: half a second, and twice as long each time that nothing has changed.
  bool probe(Time now);

  /// Of the newest inferences; 0: there was none.
  nanoseconds mean() const { return mean_; }
  /// The time that a frame must have, and what a measured latency is: the mean and a margin for
  /// what happens around the inference. 0: not known.
  nanoseconds demand() const;

 private:
  Kind kind_{};
  int inferences_ = 0;
  nanoseconds mean_{0};
  bool probing_ = false;
  Time last_{};
  nanoseconds patience_ = kPatience;

  static constexpr nanoseconds kPatience = std::chrono::milliseconds(500);
  static constexpr nanoseconds kMostPatience = std::chrono::seconds(16);
};

}  // namespace livepeer
