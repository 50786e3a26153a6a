#pragma once

#include <cstdint>
#include <string>

namespace upscale_file {

/// A file's name, which may be any bytes, as UTF-8 of one line: for people and JSON.
std::string shown(const std::string &name);
/// Nanoseconds as h:mm:ss.
std::string clock_text(uint64_t nanoseconds);
/// Seconds, or [h:]mm:ss, with a fraction, as nanoseconds; false where it is neither.
bool parse_time(const std::string &text, uint64_t &nanoseconds);

}  // namespace upscale_file
