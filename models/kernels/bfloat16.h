#pragma once

#include <cstdint>

namespace livepeer::kernels {

/// Storage of a bfloat16: the upper half of a float32.
struct BFloat16 {
  uint16_t bits;
};

}  // namespace livepeer::kernels
