#include "io/config.h"

#include <algorithm>
#include <string_view>

#include "io/file.h"

namespace livepeer {
namespace {

constexpr uint64_t max_config_bytes = 1 << 20;
constexpr int max_depth = 16;  // configurations have 4; printing and copying recurse

/// Python writes numbers that JSON does not know: -Infinity in scheduler configurations of
/// diffusers. They are parsed as strings that begin with this, and replaced.
constexpr char marker[] = "\x1fnumber ";

const std::pair<std::string_view, double> numbers_of_python[] = {
    {"-Infinity", -std::numeric_limits<double>::infinity()},
    {"Infinity", std::numeric_limits<double>::infinity()},
    {"NaN", std::numeric_limits<double>::quiet_NaN()}};

/// `text` with Python's numbers as marked strings.
std::string mark_numbers(const std::string &text) {
  std::string result;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto known =
        in_string ? std::end(numbers_of_python)
                  : std::find_if(std::begin(numbers_of_python), std::end(numbers_of_python),
                                 [&](const auto &number) {
                                   return text.compare(i, number.first.size(), number.first) == 0;
                                 });
    if (known != std::end(numbers_of_python)) {
      result.append("\"\\u001f").append(marker + 1).append(known->first).append("\"");
      i += known->first.size() - 1;
      continue;
    }
    result += text[i];
    if (in_string && text[i] == '\\' && i + 1 < text.size())
      result += text[++i];
    else if (text[i] == '"')
      in_string = !in_string;
  }
  return result;
}

void replace_marked(nlohmann::json &value) {
  if (!value.is_string()) return;
  for (const auto &[text, number] : numbers_of_python)
    if (value.get_ref<const std::string &>() == marker + std::string(text)) {
      value = number;
      return;
    }
}

}  // namespace

nlohmann::json read_json(const std::string &path, const std::string &what, uint64_t max_bytes) {
  const std::string text = read_text(path, what, max_bytes);
  bool too_deep = false;
  const auto watch = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json &value) {
    too_deep = too_deep || depth > max_depth;
    if (event == nlohmann::json::parse_event_t::value) replace_marked(value);
    return depth <= max_depth;
  };
  auto values = nlohmann::json::parse(mark_numbers(text), watch, /*allow_exceptions=*/false);
  if (values.is_object() && !too_deep) return values;
  throw Error(ErrorKind::open_read,
              what + " " + path + " is damaged: it is not a JSON object. Fetch the snapshot again.",
              path);
}

Config Config::read(const std::string &path) {
  return Config(read_json(path, "Model configuration", max_config_bytes), path);
}

Config::Config(nlohmann::json values, std::string origin)
    : values_(std::move(values)), origin_(std::move(origin)) {}

std::string Config::class_name() const {
  if (has("_class_name")) return require<std::string>("_class_name");
  if (has("architectures")) {
    const auto names = require<std::vector<std::string>>("architectures");
    if (!names.empty()) return names.front();
  }
  return {};
}

void Config::fail(const std::string &problem) const {
  throw Error(ErrorKind::open_read,
              "Model configuration " + origin_ + ": " + problem +
                  ". Fetch the snapshot again, or correct the file.",
              origin_);
}

}  // namespace livepeer
