#include "io/config.h"

#include "io/file.h"

namespace livepeer {
namespace {

constexpr uint64_t max_config_bytes = 1 << 20;

}  // namespace

Config Config::read(const std::string &path) {
  const std::string text = read_text(path, "Model configuration", max_config_bytes);
  nlohmann::json values = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!values.is_object())
    throw Error(ErrorKind::open_read,
                "Model configuration " + path +
                    " is damaged: it is not a JSON object. Fetch the snapshot again.",
                path);
  return Config(std::move(values), path);
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
