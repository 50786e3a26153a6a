#include "io/config.h"

#include "io/file.h"

namespace livepeer {
namespace {

constexpr uint64_t max_config_bytes = 1 << 20;
constexpr int max_depth = 16;  // configurations have 4; printing and copying recurse

}  // namespace

nlohmann::json read_json(const std::string &path, const std::string &what, uint64_t max_bytes) {
  const std::string text = read_text(path, what, max_bytes);
  bool too_deep = false;
  const auto watch = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json &) {
    too_deep = too_deep || depth > max_depth;
    return depth <= max_depth;
  };
  auto values = nlohmann::json::parse(text, watch, /*allow_exceptions=*/false);
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

void Config::fail(const std::string &key, const std::string &problem) const {
  throw Error(ErrorKind::open_read,
              "Model configuration " + origin_ + ": \"" + key + "\" " + problem + ".", origin_);
}

}  // namespace livepeer
