#pragma once

#include "weights/lora_source.h"
#include "weights/parameter_source.h"
#include "weights/weight_source.h"

namespace livepeer {

/// The parameters of one component of a model, as `options` say: those in use elsewhere, or out of
/// files, changed by LoRAs. Usage: build the modules, then call finish().
class ComponentSource : public ParameterSource {
 public:
  /// As WeightSource.
  ComponentSource(std::vector<std::shared_ptr<const WeightsFile>> files, WeightOptions options);

  torch::Tensor get(std::initializer_list<std::string> names, at::IntArrayRef shape) override;
  void finish() { files_.finish(); }

 private:
  std::string key_of(const std::string &name) const;

  const WeightOptions options_;
  WeightSource files_;
  LoraSource changed_;
};

}  // namespace livepeer
