#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace upscale_file {

/// What the main thread waits on: pipelines and signals wake it from their own threads.
class Wake {
 public:
  /// Blocks SIGINT and SIGTERM in this thread and those that it starts, and waits for them in one
  /// of its own: the first is remembered, a second one ends the process at once. Once a process,
  /// before any other thread.
  void take_signals();
  int signal() const;  ///< SIGINT, SIGTERM or 0
  void wake();
  /// Returns when woken since the last call, or after `longest`.
  void wait(std::chrono::milliseconds longest);

 private:
  mutable std::mutex mutex_;
  std::condition_variable woken_;
  bool awake_ = false;
  int signal_ = 0;
};

}  // namespace upscale_file
