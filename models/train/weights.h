#pragma once

#include <torch/serialize.h>
#include <torch/types.h>

#include <map>
#include <string>
#include <vector>

#include "weights/parameter_source.h"

namespace livepeer::train {

/// The parameters being trained, by name: master weights in float32, their running average (what
/// is validated and exported) and the optimizer's moments. As a ParameterSource it makes the
/// parameter a module asks for, the first time it asks.
class Weights : public ParameterSource {
 public:
  Weights(uint64_t seed, torch::Device device);
  /// A constant that modules can ask for and the optimizer leaves alone.
  void set_constant(const std::string &name, const torch::Tensor &value);

  torch::Tensor get(std::initializer_list<std::string> names, at::IntArrayRef shape) override;

  /// One update of every parameter that has a gradient: Muon for convolutions, AdamW with gradients
  /// clipped to norm 1 for the rest. Then the averages; clears the gradients.
  void update(double learning_rate);
  /// Lets the parameters called `to`... begin where those called `from`... stand on average.
  void copy(const std::string &from, const std::string &to);
  /// The parameter `name` as it stands on average.
  torch::Tensor average(const std::string &name) const { return parameters_.at(name).average; }
  /// Gives the parameter `name` another value to go on from.
  void set(const std::string &name, const torch::Tensor &value);
  int64_t updates() const { return updates_; }

  /// Averages and constants, cut off from training, cast to `type` (constants stay float32).
  std::map<std::string, torch::Tensor> average(torch::ScalarType type) const;

  void save(torch::serialize::OutputArchive &archive) const;
  /// Parameters the archive does not know keep their fresh values.
  void load(torch::serialize::InputArchive &archive);
  /// Lets the parameters called `prefix`... begin where the archive's stand on average. Blocks that
  /// the archive does not know begin as ones that change nothing.
  void adopt(torch::serialize::InputArchive &archive, const std::string &prefix);
  /// Moves all parameters `share` of the way to the archive's averages.
  void approach(torch::serialize::InputArchive &archive, double share);

 private:
  struct Parameter {
    torch::Tensor value, average, moment1, moment2;
    void adamw(double learning_rate, double clip, int64_t updates);
    void muon(double learning_rate);
  };
  torch::Tensor initial(const std::string &name, at::IntArrayRef shape);

  at::Generator random_;
  torch::Device device_;
  std::map<std::string, torch::Tensor> constants_;
  std::map<std::string, Parameter> parameters_;
  int64_t updates_ = 0;
};

/// Serves tensors from a map, under a prefix of names: modules made of it share the tensors.
class TensorMapSource : public ParameterSource {
 public:
  explicit TensorMapSource(std::map<std::string, torch::Tensor> tensors)
      : tensors_(std::move(tensors)) {}
  torch::Tensor get(std::initializer_list<std::string> names, at::IntArrayRef shape) override;

 private:
  std::map<std::string, torch::Tensor> tensors_;
};

}  // namespace livepeer::train
