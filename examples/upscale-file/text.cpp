#include "text.h"

#include <glib.h>

#include <cmath>

namespace upscale_file {

std::string shown(const std::string &name) {
  g_autofree char *valid = g_utf8_make_valid(name.c_str(), gssize(name.size()));
  std::string line;
  for (const char *c = valid; *c; c++) {
    const auto code = static_cast<unsigned char>(*c);
    if (code >= 0x20 && code != 0x7f)
      line += *c;
    else if (*c == '\n')
      line += "\\n";
    else
      line += '?';
  }
  return line;
}

std::string clock_text(uint64_t nanoseconds) {
  const auto seconds = unsigned((nanoseconds + 500000000) / 1000000000);
  g_autofree char *text = seconds < 3600 ? g_strdup_printf("%u:%02u", seconds / 60, seconds % 60)
                                         : g_strdup_printf("%u:%02u:%02u", seconds / 3600,
                                                           seconds / 60 % 60, seconds % 60);
  return text;
}

bool parse_time(const std::string &text, uint64_t &nanoseconds) {
  double seconds = 0;
  const char *at = text.c_str();
  for (int parts = 0; parts < 3; parts++) {
    if (!g_ascii_isdigit(*at)) return false;
    char *end = nullptr;
    const double value = g_ascii_strtod(at, &end);
    if (!std::isfinite(value) || (parts > 0 && value >= 60)) return false;
    seconds = seconds * 60 + value;
    if (*end == '\0') {
      nanoseconds = uint64_t(std::llround(seconds * 1e9));
      return seconds < 1e9;
    }
    if (*end != ':' || value != std::floor(value)) return false;
    at = end + 1;
  }
  return false;
}

}  // namespace upscale_file
