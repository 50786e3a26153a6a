#include "io/config.h"

#include <fstream>

namespace livepeer {
namespace {

constexpr std::streamoff max_config_bytes = 1 << 20;

}  // namespace

Config Config::read(const std::string &path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file)
    throw Error(ErrorKind::not_found,
                "Model configuration " + path +
                    " cannot be opened; the folder must be a complete diffusers snapshot.",
                path);
  const std::streamoff size = file.tellg();
  if (size < 0 || size > max_config_bytes)
    throw Error(ErrorKind::open_read, "Model configuration " + path + " is too large to be one.",
                path);
  file.seekg(0);
  std::string text(size_t(size), '\0');
  file.read(text.data(), size);
  nlohmann::json values = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!file || !values.is_object())
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
