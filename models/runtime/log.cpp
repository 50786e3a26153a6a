#include "runtime/log.h"

#include <memory>
#include <mutex>
#include <utility>

namespace livepeer {
namespace {

std::mutex sink_mutex;
std::shared_ptr<const LogSink> current_sink;

}  // namespace

void set_log_sink(LogSink sink) {
  auto next = sink ? std::make_shared<const LogSink>(std::move(sink)) : nullptr;
  const std::lock_guard lock(sink_mutex);
  current_sink.swap(next);
}

void log(LogLevel level, const std::string &line) {
  std::shared_ptr<const LogSink> sink;
  {
    const std::lock_guard lock(sink_mutex);
    sink = current_sink;
  }
  if (sink) (*sink)(level, line);
}

}  // namespace livepeer
