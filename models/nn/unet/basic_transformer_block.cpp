#include "nn/unet/basic_transformer_block.h"

#include "nn/output_observer.h"

namespace livepeer {

BasicTransformerBlock::BasicTransformerBlock(const ParameterScope &scope, int64_t channels,
                                             int64_t text_channels, int64_t heads,
                                             bool only_cross_attention)
    : path_(scope.path()),
      only_cross_attention_(only_cross_attention),
      norm1_(scope / "norm1", channels),
      attn1_(scope / "attn1", channels, only_cross_attention ? text_channels : channels, heads,
             false),
      norm2_(scope / "norm2", channels),
      attn2_(scope / "attn2", channels, text_channels, heads, false),
      norm3_(scope / "norm3", channels),
      ff_in_(scope / "ff.net.0.proj", channels, 8 * channels),
      ff_out_(scope / "ff.net.2", 4 * channels, channels) {}

torch::Tensor BasicTransformerBlock::attend(const Attention &attention, const std::string &name,
                                            const torch::Tensor &x,
                                            TextProjections *context) const {
  const auto project = [&attention](const torch::Tensor &states) {
    return attention.project(states);
  };
  auto result = attention(x, context ? context->of(&attention, project) : project(x));
  OutputObserver::report(path_ + name, result);
  return result;
}

torch::Tensor BasicTransformerBlock::feed_forward(const torch::Tensor &x) const {
  auto result = ff_out_(ff_in_.geglu(x));
  OutputObserver::report(path_ + ".ff", result);
  return result;
}

torch::Tensor BasicTransformerBlock::operator()(const torch::Tensor &x,
                                                TextProjections &text) const {
  auto hidden = attend(attn1_, ".attn1", norm1_(x), only_cross_attention_ ? &text : nullptr);
  hidden = add_branch(std::move(hidden), x);
  hidden = add_branch(attend(attn2_, ".attn2", norm2_(hidden), &text), hidden);
  hidden = add_branch(feed_forward(norm3_(hidden)), hidden);
  OutputObserver::report(path_, hidden);
  return hidden;
}

}  // namespace livepeer
