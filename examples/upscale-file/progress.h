#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "options.h"

namespace upscale_file {

/// Tells how far a job is: a line that is written over on a terminal, elsewhere a line every ten
/// seconds, or events as JSON. Errors and notes come on standard error, JSON on standard output.
class Progress {
 public:
  explicit Progress(const Options &options);
  void begin(const std::string &input, const std::string &output);
  /// The model is being loaded.
  void load(int percent);
  /// From here on frames are counted: `before` are done already, of `all` (0: unknown).
  void expect(uint64_t before, uint64_t all);
  /// Frames of this run.
  void frames(uint64_t done);
  /// Of a picture, 0 to 1.
  void picture(double fraction);
  void note(const std::string &text);
  void done(const std::string &output, int64_t seed);
  void error(const std::string &text);

 private:
  using Clock = std::chrono::steady_clock;
  void show(const std::string &line);
  void clear();
  bool is_time(bool last);

  const bool quiet_, json_, terminal_;
  bool line_shown_ = false;
  uint64_t before_ = 0, all_ = 0, done_ = 0;
  Clock::time_point began_, shown_{}, first_{};
  int loaded_ = -1;
};

}  // namespace upscale_file
