#include "lora_list.h"

#include <glib.h>

#include <algorithm>
#include <cmath>

namespace upscale_server {
namespace {

constexpr size_t kMost = 16;
constexpr size_t kLongest = 255;

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

/// One name inside a folder, and not a hidden one.
bool is_plain(const std::string &name) {
  return !name.empty() && name.size() <= kLongest && name[0] != '.' &&
         name.find_first_of(std::string("/\\\0", 3)) == std::string::npos;
}

/// The path of a LoRA; "" where there is none of this name.
std::string find(const std::string &folder, const std::string &name) {
  if (!is_plain(name)) return {};
  for (const char *end : {".safetensors", ""}) {
    const std::string path = folder + "/" + name + end;
    if (g_file_test(path.c_str(), G_FILE_TEST_EXISTS)) return path;
  }
  return {};
}

/// As the element's lists have it: a path in quotes.
std::string quoted(const std::string &path) {
  std::string text = "\"";
  for (const char c : path) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + '"';
}

bool is_number(const std::string &text) {
  char *end = nullptr;
  const double value = g_ascii_strtod(text.c_str(), &end);
  return !text.empty() && *end == '\0' && std::isfinite(value) && !g_ascii_isspace(text[0]) &&
         text.find_first_of("xX") == std::string::npos;
}

}  // namespace

std::optional<Answer> read_loras(std::string_view sent, const std::string &folder,
                                 std::string &property) {
  property.clear();
  if (trim(sent).empty()) return std::nullopt;
  if (folder.empty())
    return http_error(400, "This server takes no LoRAs: it was started without --lora-dir.");
  size_t count = 0;
  for (size_t begin = 0; begin <= sent.size();) {
    const size_t end = std::min(sent.find(',', begin), sent.size());
    const std::string item(trim(sent.substr(begin, end - begin)));
    begin = end + 1;
    const size_t at = item.rfind('@');
    const std::string name = item.substr(0, at);
    const std::string weight = at == std::string::npos ? "1" : item.substr(at + 1);
    if (!is_number(weight))
      return http_error(400,
                        "lora must be names with commas between, each perhaps with @ and a "
                        "number behind it: ink@0.8,wool.");
    const std::string path = find(folder, name);
    if (path.empty()) return http_error(400, "lora names one that this server does not have.");
    if (++count > kMost)
      return http_error(400, "lora names more than " + std::to_string(kMost) + ".");
    property += (property.empty() ? "" : " ") + quoted(path) + "@" + weight;
  }
  return std::nullopt;
}

}  // namespace upscale_server
