#pragma once

#include <cmath>

namespace livepeer::kernels {

/// The cubic convolution kernel (Keys 1981) with parameter `a`.
inline double cubic(double x, double a) {
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

}  // namespace livepeer::kernels
