#pragma once

#include <gtest/gtest.h>
#include <torch/types.h>

#include <map>
#include <string>

#include "golden/golden_files.h"

namespace livepeer {

std::map<std::string, torch::Tensor> golden_tensors(const std::string &relative);

/// Of the values as they lie in memory, row by row.
std::string sha256(const torch::Tensor &values);

/// Fails where `actual` is not within `tolerance` x the largest absolute value of `expected`.
void expect_close(const torch::Tensor &actual, const torch::Tensor &expected, double tolerance,
                  const std::string &what);

}  // namespace livepeer
