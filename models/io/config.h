#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runtime/error.h"

namespace livepeer {

/// Reads `path` as a JSON object; `what` is the subject of the error sentence. Throws
/// Error{not_found, open_read}, also for a file above `max_bytes` and for absurdly deep nesting.
nlohmann::json read_json(const std::string &path, const std::string &what, uint64_t max_bytes);

/// What `value` should have been if it is not a T, else nullptr. nlohmann converts numbers and
/// booleans into each other silently; a snapshot that needs it is damaged.
template <typename T>
const char *json_mismatch(const nlohmann::json &value, const T *) {
  if constexpr (std::is_same_v<T, bool>)
    return value.is_boolean() ? nullptr : "true or false";
  else if constexpr (std::is_integral_v<T>) {
    if (!value.is_number_integer()) return "an integer";
    const bool fits = value.is_number_unsigned()
                          ? value.get<uint64_t>() <= uint64_t(std::numeric_limits<T>::max())
                          : value.get<int64_t>() >= int64_t(std::numeric_limits<T>::min());
    return fits ? nullptr : "an integer in range";
  } else if constexpr (std::is_floating_point_v<T>)
    return value.is_number() ? nullptr : "a number";
  else if constexpr (std::is_same_v<T, std::string>)
    return value.is_string() ? nullptr : "a string";
  else
    return nullptr;
}
template <typename T>
const char *json_mismatch(const nlohmann::json &value, const std::vector<T> *) {
  if (!value.is_array()) return "a list";
  for (const auto &element : value)
    if (json_mismatch(element, static_cast<const T *>(nullptr)))
      return "a list of values of one kind";
  return nullptr;
}

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
  /// Throws the Error{open_read} "Model configuration <file>: <problem>. Fetch the snapshot
  /// again, or correct the file.".
  [[noreturn]] void fail(const std::string &problem) const;
  /// The same of one key: "<key>" <problem>.
  [[noreturn]] void fail(const std::string &key, const std::string &problem) const {
    fail("\"" + key + "\" " + problem);
  }
  const nlohmann::json &json() const { return values_; }
  const std::string &origin() const { return origin_; }

 private:
  nlohmann::json values_;
  std::string origin_;
};

template <typename T>
T Config::require(const std::string &key) const {
  if (!has(key)) fail(key, "is missing");
  const nlohmann::json &value = values_[key];
  if (const char *expected = json_mismatch(value, static_cast<const T *>(nullptr)))
    fail(key, std::string("must be ") + expected + ", not " + value.dump().substr(0, 200));
  try {
    return value.get<T>();
  } catch (const nlohmann::json::exception &) {
    fail(key, "has a value of the wrong kind: " + value.dump().substr(0, 200));
  }
}

}  // namespace livepeer
