#pragma once

#include <torch/types.h>

#include <string>
#include <utility>
#include <vector>

#include "weights/parameter_source.h"

namespace livepeer {

/// Freshly initialised parameters for training and for random snapshots, reproducible by seed, and
/// the record of what the modules asked for. Weights of two and more dimensions are normal with
/// standard deviation gain / sqrt(inputs of one output); embeddings too. One-dimensional weights
/// (norms) are ones, biases zeros.
class RandomParameters : public ParameterSource {
 public:
  explicit RandomParameters(uint64_t seed, double gain = 1.0,
                            torch::TensorOptions options = torch::kFloat);

  torch::Tensor get(std::initializer_list<std::string> names, at::IntArrayRef shape) override;
  /// (current name, tensor) in the order of the requests. The tensors share memory with the
  /// modules'; a name asked for twice is one tensor.
  const std::vector<std::pair<std::string, torch::Tensor>> &parameters() const {
    return parameters_;
  }

 private:
  at::Generator generator_;
  double gain_;
  torch::TensorOptions options_;
  std::vector<std::pair<std::string, torch::Tensor>> parameters_;
};

}  // namespace livepeer
