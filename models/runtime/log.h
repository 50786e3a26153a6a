#pragma once

#include <functional>
#include <string>

namespace livepeer {

/// Levels as in GStreamer, which shows them under the category `livepeerupscale-engine`.
enum class LogLevel { error, warning, info, debug, trace };

/// Where the engine's log lines go; the engine itself never prints. Without a sink they are lost.
/// Thread-safe; an empty function removes the sink.
using LogSink = std::function<void(LogLevel level, const std::string &line)>;
void set_log_sink(LogSink sink);

void log(LogLevel level, const std::string &line);

}  // namespace livepeer
