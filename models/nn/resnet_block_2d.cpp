#include "nn/resnet_block_2d.h"

#include "nn/output_observer.h"

namespace livepeer {

ResnetBlock2D::ResnetBlock2D(const ParameterScope &scope, int64_t in, int64_t out, int64_t groups,
                             double eps, int64_t time_channels)
    : path_(scope.path()),
      norm1_(scope / "norm1", groups, in, eps),
      conv1_(scope / "conv1", in, out, 3),
      norm2_(scope / "norm2", groups, out, eps),
      conv2_(scope / "conv2", out, out, 3) {
  if (time_channels > 0) time_emb_proj_.emplace(scope / "time_emb_proj", time_channels, out);
  if (in != out) conv_shortcut_.emplace(scope / "conv_shortcut", in, out, 1);
}

torch::Tensor ResnetBlock2D::operator()(const torch::Tensor &x, TimeProjections *time) const {
  auto hidden = conv1_(norm1_.silu(x));
  if (time_emb_proj_)
    hidden = norm2_.silu(hidden, time->of(this, [this](const torch::Tensor &embedding) {
      return (*time_emb_proj_)(embedding);
    }));
  else
    hidden = norm2_.silu(hidden);
  hidden = conv2_(hidden).add_(conv_shortcut_ ? (*conv_shortcut_)(x) : x);
  OutputObserver::report(path_, hidden);
  return hidden;
}

}  // namespace livepeer
