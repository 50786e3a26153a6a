#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "answer.h"

namespace upscale_server {

/// Asks the driver's nvidia-smi about the GPUs: one process at a time, whose answer holds for a
/// second, and which is killed where it takes longer than five. Lives on the main thread.
class Hardware {
 public:
  /// Called, perhaps at once, with an object of GPUs by index: {} where there are none.
  using Done = std::function<void(const Json &gpus)>;

  Hardware();
  ~Hardware();
  Hardware(const Hardware &) = delete;
  Hardware &operator=(const Hardware &) = delete;

  /// What they are (for /hardware/info), and how busy (for /hardware/stats).
  void read_info(Done done) { read(*info_, std::move(done)); }
  void read_stats(Done done) { read(*stats_, std::move(done)); }

 private:
  struct Table;
  struct Query;
  enum class Process { none, runs, hangs };

  void read(Table &table, Done done);
  void ask_next();
  void ask(Table &table);
  static void settle(Table &table, Json gpus);

  const std::unique_ptr<Table> info_, stats_;
  Process process_ = Process::none;
};

}  // namespace upscale_server
