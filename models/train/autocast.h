#pragma once

#include <ATen/autocast_mode.h>
#include <torch/version.h>

namespace livepeer::train {

/// Mixed precision while in scope: convolutions and matrix products in bfloat16, master weights in
/// float32. The cache of cast weights lives as long as the scope; weights change between scopes.
class Autocast {
 public:
  Autocast(torch::DeviceType device, bool enabled) : device_(device) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
    at::autocast::set_autocast_dtype(device_, at::kBFloat16);
    at::autocast::set_autocast_enabled(device_, enabled);
#else
    if (device_ == torch::kCUDA) {
      at::autocast::set_autocast_gpu_dtype(at::kBFloat16);
      at::autocast::set_enabled(enabled);
    } else {
      at::autocast::set_autocast_cpu_dtype(at::kBFloat16);
      at::autocast::set_cpu_enabled(enabled);
    }
#endif
    at::autocast::increment_nesting();
  }
  Autocast(const Autocast &) = delete;
  Autocast &operator=(const Autocast &) = delete;
  ~Autocast() {
    at::autocast::decrement_nesting();
    at::autocast::clear_cache();
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
    at::autocast::set_autocast_enabled(device_, false);
#else
    if (device_ == torch::kCUDA)
      at::autocast::set_enabled(false);
    else
      at::autocast::set_cpu_enabled(false);
#endif
  }

 private:
  torch::DeviceType device_;
};

}  // namespace livepeer::train
