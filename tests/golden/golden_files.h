#pragma once

#include <gtest/gtest.h>

#include <string>

#include "io/config.h"

namespace livepeer {

/// Path of a file of the golden data.
inline std::string golden_path(const std::string &relative) {
  return std::string(GOLDEN_DATA "/") + relative;
}

/// The entry of cases.json.
inline nlohmann::json golden_case(const std::string &id) {
  static const nlohmann::json all = read_json(golden_path("cases.json"), "Case list", 16 << 20);
  for (const auto &entry : all.at("cases"))
    if (entry.at("id") == id) return entry;
  throw std::runtime_error("cases.json has no case " + id);
}

}  // namespace livepeer
