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

torch::Tensor ResnetBlock2D::operator()(torch::Tensor x, TimeProjections *time) const {
  auto shortcut = conv_shortcut_ ? (*conv_shortcut_)(x) : x;
  const bool nobody_needs_x = x.use_count() == 1 && x.storage().use_count() == 1;
  auto hidden = nobody_needs_x ? norm1_.silu_(std::move(x)) : norm1_.silu(x);
  x.reset();
  hidden = conv1_(hidden);
  torch::Tensor offset;
  if (time_emb_proj_)
    offset =
        time->of(this,
                 [this](const torch::Tensor &embedding) { return (*time_emb_proj_)(embedding); })
            .narrow(0, 0, hidden.size(0));
  hidden = norm2_.silu_(std::move(hidden), offset);
  hidden = add_branch(conv2_(hidden), shortcut);
  OutputObserver::report(path_, hidden);
  return hidden;
}

}  // namespace livepeer
