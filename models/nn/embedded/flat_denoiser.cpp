#include "nn/embedded/flat_denoiser.h"

#include "kernels/dispatch.h"

namespace livepeer {
namespace {

constexpr int64_t sinusoids = 64;
constexpr int64_t colours = 3;

/// Conditioning is tiny: float32 whatever the network's type. A source that collects complaints
/// may have handed out nothing.
torch::Tensor in_float(const torch::Tensor &parameter) {
  return parameter.defined() ? parameter.to(torch::kFloat) : parameter;
}

Linear in_float(Linear linear) {
  linear.weight = in_float(linear.weight);
  linear.bias = in_float(linear.bias);
  return linear;
}

/// `conv` with its weights multiplied per input or output channel, in the weights' own type.
torch::Tensor scaled_weight(const Conv2d &conv, const torch::Tensor &scale) {
  return (conv.weight.to(torch::kFloat) * scale)
      .to(conv.weight.scalar_type())
      .contiguous(at::MemoryFormat::ChannelsLast);
}

kernels::FusedConv3x3 prepared(const Conv2d &conv) { return {conv.weight, conv.bias}; }

/// [1, channels, h, w] as the first channels of `count`, channels-last; the rest zero.
torch::Tensor widened(const torch::Tensor &x, int64_t count, torch::ScalarType type) {
  auto result =
      torch::empty({1, count, x.size(2), x.size(3)}, type, at::MemoryFormat::ChannelsLast);
  result.narrow(1, 0, x.size(1)).copy_(x);
  result.narrow(1, x.size(1), count - x.size(1)).zero_();
  return result;
}

}  // namespace

FlatDenoiser::NumberEmbedding::NumberEmbedding(const ParameterScope &scope, int64_t dim)
    : linear_1(in_float(Linear(scope / "linear_1", sinusoids, dim))),
      linear_2(in_float(Linear(scope / "linear_2", dim, dim))) {}

torch::Tensor FlatDenoiser::NumberEmbedding::operator()(const torch::Tensor &values) const {
  return linear_2(at::silu(linear_1(timestep_embedding(values, sinusoids))));
}

FlatDenoiser::FlatDenoiser(const Config &config, const ParameterScope &scope)
    : in_channels_(config.require<int64_t>("in_channels")),
      out_channels_(config.require<int64_t>("out_channels")),
      channels_(config.require<int64_t>("channels")),
      gate_(in_float(scope.get("gate", {config.get<int64_t>("num_train_timesteps", 1000)}))),
      time_embedding_(scope / "time_embedding", config.require<int64_t>("embedding_dim")),
      level_embedding_(scope / "level_embedding", config.require<int64_t>("embedding_dim")),
      text_projection_(
          in_float(Linear(scope / "text_projection", config.require<int64_t>("text_dim"),
                          config.require<int64_t>("embedding_dim"), false))),
      text_origin_(in_float(scope.get("text_origin", {config.require<int64_t>("text_dim")}))),
      film_(in_float(Linear(scope / "film", config.require<int64_t>("embedding_dim"),
                            config.require<int64_t>("num_blocks") * 2 * channels_))),
      conv_in_(scope / "conv_in", in_channels_, channels_, 3),
      conv_mid_(scope / "conv_mid", channels_, channels_, 3),
      conv_out_(scope / "conv_out", channels_, out_channels_, 3),
      conv_skip_(scope / "conv_skip", channels_, out_channels_ / colours, 3) {
  const auto count = size_t(config.require<int64_t>("num_blocks"));
  blocks_.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const ParameterScope block = scope / "blocks" / i;
    blocks_.push_back({Conv2d(block / "conv1", channels_, channels_, 3),
                       Conv2d(block / "conv2", channels_, channels_, 3)});
  }
  if (kernels::FusedConv3x3::can(conv_in_.weight) && kernels::FusedConv3x3::can(conv_skip_.weight))
    prepared_.emplace(*this);
}

FlatDenoiser::Prepared::Prepared(const FlatDenoiser &net)
    : conv_in(prepared(net.conv_in_)),
      conv_picture(net.conv_in_.weight.slice(1, net.out_channels_), net.conv_in_.bias),
      conv_mid(prepared(net.conv_mid_)),
      conv_out(prepared(net.conv_out_)),
      conv_skip(prepared(net.conv_skip_)) {
  for (const FlatDenoiser::Block &block : net.blocks_)
    blocks.push_back({prepared(block.conv1), prepared(block.conv2)});
}

torch::Tensor FlatDenoiser::forward(const torch::Tensor &sample, const torch::Tensor &timesteps,
                                    const TextEmbeddings &text, const torch::Tensor &class_labels) {
  const auto gates = input_gate(timesteps);
  const auto films = film(timesteps, text, class_labels);
  if (torch::GradMode::is_enabled()) return forward_batch(sample, gates, films);
  if (sample.size(0) == 1) return forward_one(sample, gates[0], films[0]);
  std::vector<torch::Tensor> results;
  for (int64_t i = 0; i < sample.size(0); ++i)
    results.push_back(forward_one(sample.narrow(0, i, 1), gates[i], films[i]));
  return torch::cat(results);
}

/// [batch, in_channels]: sqrt(alphas_cumprod) for the latent, one for the picture.
torch::Tensor FlatDenoiser::input_gate(const torch::Tensor &timesteps) const {
  const auto index = timesteps.round().to(torch::kLong).clamp(0, gate_.size(0) - 1);
  const auto latent = gate_.index_select(0, index).unsqueeze(1).expand({-1, out_channels_});
  const auto picture =
      torch::ones({timesteps.size(0), in_channels_ - out_channels_}, gate_.options());
  return torch::cat({latent, picture}, 1);
}

/// [batch, blocks, 2, channels]: factor (one included) and shift.
torch::Tensor FlatDenoiser::film(const torch::Tensor &timesteps, const TextEmbeddings &text,
                                 const torch::Tensor &class_labels) const {
  auto condition = time_embedding_(timesteps) + level_embedding_(class_labels);
  // Relative to the empty prompt, which therefore contributes nothing.
  if (text.pooled.defined())
    condition = condition + text_projection_(text.pooled.to(torch::kFloat) - text_origin_);
  const auto offset = torch::tensor({1.0F, 0.0F}, film_.weight.options()).view({1, 1, 2, 1});
  return film_(at::silu(condition))
             .to(torch::kFloat)
             .view({-1, int64_t(blocks_.size()), 2, channels_}) +
         offset;
}

torch::Tensor FlatDenoiser::forward_batch(const torch::Tensor &sample, const torch::Tensor &gate,
                                          const torch::Tensor &film) const {
  const auto gated = sample * gate.unsqueeze(2).unsqueeze(3);
  const auto input =
      gated.to(conv_in_.weight.scalar_type()).contiguous(at::MemoryFormat::ChannelsLast);
  const auto head = conv_in_(input);
  const auto films = film.to(head.scalar_type()).unsqueeze(4).unsqueeze(5);
  auto x = head;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const auto block_film = films.select(1, int64_t(i));
    const auto hidden =
        at::addcmul(block_film.select(1, 1), blocks_[i].conv1(x), block_film.select(1, 0));
    x = x + blocks_[i].conv2(at::relu(hidden));
  }
  return with_skip(at::relu(conv_mid_(x) + head), gated.narrow(1, 0, out_channels_));
}

torch::Tensor FlatDenoiser::with_skip(const torch::Tensor &features,
                                      const torch::Tensor &gated_latent) const {
  const auto factors = conv_skip_(features).to(torch::kFloat).repeat({1, colours, 1, 1});
  return at::addcmul(conv_out_(features).to(torch::kFloat), factors, gated_latent);
}

torch::Tensor FlatDenoiser::forward_one(const torch::Tensor &sample, const torch::Tensor &gate,
                                        const torch::Tensor &film) const {
  if (prepared_) return forward_prepared(sample, gate[0].item<float>(), film);
  const auto type = conv_in_.weight.scalar_type();
  const auto input = sample.to(type).contiguous(at::MemoryFormat::ChannelsLast);
  const auto head = kernels::convolve(input, scaled_weight(conv_in_, gate.view({1, -1, 1, 1})),
                                      conv_in_.bias, /*stride=*/1, /*padding=*/1);
  auto x = head;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const Conv2d &conv1 = blocks_[i].conv1;
    const auto factor = film[int64_t(i)][0], shift = film[int64_t(i)][1];
    const auto bias = (conv1.bias.to(torch::kFloat) * factor + shift).to(type);
    auto hidden = kernels::convolve(x, scaled_weight(conv1, factor.view({-1, 1, 1, 1})), bias,
                                    /*stride=*/1, /*padding=*/1);
    x = blocks_[i].conv2(hidden.relu_()).add_(x);
  }
  const auto features = conv_mid_(x).add_(head).relu_();
  const auto latent_gate = gate[0].item<float>();
  if (latent_gate == 0) return conv_out_(features).to(torch::kFloat);
  return with_skip(features, sample.narrow(1, 0, out_channels_) * latent_gate);
}

torch::Tensor FlatDenoiser::forward_prepared(const torch::Tensor &sample, float latent_gate,
                                             const torch::Tensor &film) const {
  const Prepared &net = *prepared_;
  const auto type = conv_in_.weight.scalar_type();
  // Behind a closed gate the latent is nothing but noise that no weight looks at.
  const bool picture_only = latent_gate == 0;
  const auto picture = sample.narrow(1, out_channels_, in_channels_ - out_channels_);
  torch::Tensor latent, head;
  if (picture_only) {
    head = net.conv_picture(widened(picture, net.conv_picture.in_channels(), type), {});
  } else {
    latent = sample.narrow(1, 0, out_channels_) * latent_gate;
    head =
        net.conv_in(widened(torch::cat({latent, picture}, 1), net.conv_in.in_channels(), type), {});
  }
  // Three pictures of memory in turns: fresh pages would cost as much as a convolution.
  torch::Tensor x = head, hidden, sum;
  for (size_t i = 0; i < net.blocks.size(); ++i) {
    const torch::Tensor block_film = film[int64_t(i)];
    hidden = net.blocks[i].conv1(x, {block_film[0], block_film[1], {}, true, false, hidden});
    x = sum = net.blocks[i].conv2(hidden, {{}, {}, x, false, false, sum});
  }
  const auto features = net.conv_mid(x, {{}, {}, head, true, false, hidden});
  auto result = net.conv_out(features, {{}, {}, {}, false, true, {}});
  if (picture_only) return result;
  const auto factors = net.conv_skip(features, {{}, {}, {}, false, true, {}});
  return result.addcmul_(factors.repeat({1, colours, 1, 1}), latent);
}

}  // namespace livepeer
