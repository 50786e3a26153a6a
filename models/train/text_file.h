#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace livepeer::train {

/// Both throw Error{failed} where the file cannot be written.
void write_text(const std::string &path, const std::string &text);
void write_json(const std::string &path, const nlohmann::ordered_json &values);

}  // namespace livepeer::train
