#pragma once

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace livepeer {

/// Path of a file of the golden data, which lives beside the source tree (or where the environment
/// variable LIVEPEER_SHARED says).
std::string golden_path(const std::string &relative);
bool have_goldens();
/// The entry of cases.json.
nlohmann::json golden_case(const std::string &id);
std::map<std::string, torch::Tensor> golden_tensors(const std::string &relative);

/// Fails where `actual` is not within `tolerance` x the largest absolute value of `expected`.
void expect_close(const torch::Tensor &actual, const torch::Tensor &expected, double tolerance,
                  const std::string &what);

}  // namespace livepeer

#define REQUIRE_GOLDENS()                                                    \
  if (!livepeer::have_goldens())                                             \
  GTEST_SKIP() << "the golden data are not at " << livepeer::golden_path("") \
               << "; set LIVEPEER_SHARED to the folder that holds goldens/"
