#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "runtime/error.h"

namespace livepeer {

/// One JSON configuration of a snapshot. Keys are those of diffusers and transformers. A value of
/// the wrong kind is an Error{open_read} that names the file, the key, and what was expected.
class Config {
 public:
  /// Reads and parses `path`; throws Error{not_found, open_read}.
  static Config read(const std::string &path);
  Config(nlohmann::json values, std::string origin);

  bool has(const std::string &key) const {
    return values_.contains(key) && !values_[key].is_null();
  }
  /// The value, or `fallback` where the key is missing or null (as diffusers treats both).
  template <typename T>
  T get(const std::string &key, T fallback) const {
    return has(key) ? require<T>(key) : std::move(fallback);
  }
  /// The value; an Error where it is missing.
  template <typename T>
  T require(const std::string &key) const;
  /// `_class_name` (diffusers) or the first of `architectures` (transformers); "" where neither is.
  std::string class_name() const;
  const nlohmann::json &json() const { return values_; }
  const std::string &origin() const { return origin_; }

 private:
  [[noreturn]] void fail(const std::string &key, const std::string &problem) const;
  nlohmann::json values_;
  std::string origin_;
};

template <typename T>
T Config::require(const std::string &key) const {
  if (!has(key)) fail(key, "is missing");
  const nlohmann::json &value = values_[key];
  // nlohmann converts numbers and booleans into each other silently; a snapshot that needs it is
  // damaged.
  if constexpr (std::is_same_v<T, bool>) {
    if (!value.is_boolean()) fail(key, "must be true or false, not " + value.dump());
  } else if constexpr (std::is_integral_v<T>) {
    if (!value.is_number_integer()) fail(key, "must be an integer, not " + value.dump());
  } else if constexpr (std::is_floating_point_v<T>) {
    if (!value.is_number()) fail(key, "must be a number, not " + value.dump());
  }
  try {
    return value.get<T>();
  } catch (const nlohmann::json::exception &) {
    fail(key, "has a value of the wrong kind: " + value.dump().substr(0, 200));
  }
}

}  // namespace livepeer
