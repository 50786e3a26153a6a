#include "weights/random_parameters.h"

#include <cmath>

namespace livepeer {

RandomParameters::RandomParameters(uint64_t seed, double gain, torch::TensorOptions options)
    : generator_(at::detail::createCPUGenerator(seed)), gain_(gain), options_(options) {}

torch::Tensor RandomParameters::get(std::initializer_list<std::string> names,
                                    at::IntArrayRef shape) {
  const std::string &name = *names.begin();
  for (const auto &[known, tensor] : parameters_)
    if (known == name) return tensor;

  torch::Tensor tensor;
  const bool is_bias = name.size() >= 4 && name.compare(name.size() - 4, 4, "bias") == 0;
  if (shape.size() < 2) {
    tensor = is_bias ? torch::zeros(shape, options_) : torch::ones(shape, options_);
  } else {
    // Drawn on the CPU in float32, so that every device and type starts from the same values.
    tensor = torch::empty(shape, torch::kFloat);
    const double inputs = double(tensor.numel()) / double(shape[0]);
    tensor.normal_(0.0, gain_ / std::sqrt(inputs), generator_);
    tensor = tensor.to(options_);
  }
  parameters_.emplace_back(name, tensor);
  return tensor;
}

}  // namespace livepeer
