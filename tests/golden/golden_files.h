#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "io/config.h"

namespace livepeer {

/// Path of a file of the golden data, which lives beside the source tree (or where the environment
/// variable LIVEPEER_SHARED says).
inline std::string golden_path(const std::string &relative) {
  const char *shared = std::getenv("LIVEPEER_SHARED");
  return std::string(shared ? shared : "../shared") + "/goldens/" + relative;
}

inline bool have_goldens() { return std::filesystem::exists(golden_path("cases.json")); }

/// The entry of cases.json.
inline nlohmann::json golden_case(const std::string &id) {
  static const nlohmann::json all = read_json(golden_path("cases.json"), "Case list", 16 << 20);
  for (const auto &entry : all.at("cases"))
    if (entry.at("id") == id) return entry;
  throw std::runtime_error("cases.json has no case " + id);
}

}  // namespace livepeer

#define REQUIRE_GOLDENS()                                                    \
  if (!livepeer::have_goldens())                                             \
  GTEST_SKIP() << "the golden data are not at " << livepeer::golden_path("") \
               << "; set LIVEPEER_SHARED to the folder that holds goldens/"
