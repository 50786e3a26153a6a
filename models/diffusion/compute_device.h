#pragma once

#include <torch/types.h>

#include <string>

#include "runtime/upscale_settings.h"

namespace livepeer {

/// "auto" (CUDA where there is one, else the CPU), "cpu", "cuda", "cuda:1". Throws Error{settings}
/// for other texts and Error{init} for devices that are not there.
torch::Device find_device(const std::string &name);

/// What the weights are converted to. `automatic`: bfloat16 on CPUs that compute with it, float16
/// on CUDA, else float32. Throws Error{settings} where the device cannot compute with it.
torch::Dtype find_dtype(Precision precision, const torch::Device &device);

/// "float32", "bfloat16", "float16".
std::string dtype_name(torch::Dtype dtype);

}  // namespace livepeer
