#include "nn/upsample_2d.h"

#include "nn/output_observer.h"
#include "nn/winograd_float.h"
#include "nn/winograd_int16.h"

namespace livepeer {

Upsample2D::Upsample2D(const ParameterScope &scope, int64_t channels)
    : path_(scope.path()), conv_(scope / "conv", channels, channels, 3) {}

torch::Tensor Upsample2D::operator()(const torch::Tensor &x_, int64_t height, int64_t width) const {
  const auto x = x_.to(conv_.dtype());  // before it is large
  const bool doubles = height == 2 * x.size(2) && width == 2 * x.size(3);
  auto result = doubles && winograd_pays(x, conv_.weight, conv_.stride, conv_.padding)
                    ? winograd_convolve(x, conv_.weight, conv_.bias, /*doubles=*/true)
                : doubles && winograd_int16_pays(x, conv_.weight, conv_.stride, conv_.padding)
                    ? winograd_int16_convolve(x, conv_.weight, conv_.bias, /*doubles=*/true)
                    : conv_(upsample_nearest(x, height, width));
  OutputObserver::report(path_, result);
  return result;
}

}  // namespace livepeer
