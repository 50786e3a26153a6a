#pragma once

#include "io/lora.h"
#include "weights/parameter_source.h"
#include "weights/weight_source.h"

namespace livepeer {

/// Parameters of another source, with what LoRAs add to them. That source gives those of
/// `options.lora` in float32; sums are rounded to `options.dtype` once, here. Several LoRAs add to
/// the same parameter, each reckoned from what it is without any, as PEFT's active adapters do.
class LoraSource : public ParameterSource {
 public:
  LoraSource(ParameterSource &base, const WeightOptions &options)
      : base_(base), options_(options) {}

  /// Throws Error{open_read} where a LoRA holds numbers that are not finite, or where the sum is
  /// too large for the type.
  torch::Tensor get(std::initializer_list<std::string> names, at::IntArrayRef shape) override;

 private:
  ParameterSource &base_;
  const WeightOptions &options_;
};

}  // namespace livepeer
