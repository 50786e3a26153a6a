#include "nn/unet/unet_2d_condition_model.h"

#include "nn/output_observer.h"

namespace livepeer {
namespace {

/// One entry per step of a schedule: the next frame goes through the same ones.
constexpr size_t cached_times = 100;
/// The prompts of the sessions that share the network.
constexpr size_t cached_texts = 4;
/// As the Python package of DeepCache counts its branches.
constexpr int64_t branches_per_level = 3;

int64_t time_channels(const UNet2DConditionConfig &config) {
  return 4 * config.block_out_channels.front();
}

/// The shape of down block `i`, or of the up block on its level.
UNetBlockShape block_shape(const UNet2DConditionConfig &config, size_t i, bool attends,
                           bool only_cross_attention) {
  UNetBlockShape shape{config.layers_per_block[i], config.norm_num_groups, config.norm_eps,
                       time_channels(config), std::nullopt};
  if (attends)
    shape.transformer = TransformerShape{
        config.transformer_layers[i], config.num_heads[i],  config.cross_attention_dim[i],
        config.norm_num_groups,       only_cross_attention, config.use_linear_projection};
  return shape;
}

bool attends(const std::string &block_type) { return block_type.rfind("CrossAttn", 0) == 0; }

[[noreturn]] void misfit(const std::string &what, const torch::Tensor &tensor) {
  std::string shape = "undefined";
  if (tensor.defined()) {
    std::ostringstream sizes;
    sizes << tensor.sizes();
    shape = sizes.str();
  }
  throw Error(ErrorKind::settings, "The UNet needs " + what + "; it was given " + shape + ".",
              shape);
}

/// Guidance evaluates a sample twice, under two texts: how many of `inputs` [batch, ...] are to be
/// told apart before the text comes in.
int64_t distinct_samples(const std::vector<torch::Tensor> &inputs) {
  const int64_t batch = inputs.front().size(0), half = batch / 2;
  for (const auto &input : inputs)
    if (batch % 2 != 0 || !at::equal(input.narrow(0, 0, half), input.narrow(0, half, half)))
      return batch;
  return half;
}

}  // namespace

UNet2DConditionModel::UNet2DConditionModel(const Config &config, const ParameterScope &scope)
    : config_(config),
      conv_in_(scope / "conv_in", config_.in_channels, config_.block_out_channels.front(), 3),
      time_linear_1_(scope / "time_embedding.linear_1", config_.block_out_channels.front(),
                     time_channels(config_)),
      time_linear_2_(scope / "time_embedding.linear_2", time_channels(config_),
                     time_channels(config_)),
      conv_norm_out_(scope / "conv_norm_out", config_.norm_num_groups,
                     config_.block_out_channels.front(), config_.norm_eps),
      conv_out_(scope / "conv_out", config_.block_out_channels.front(), config_.out_channels, 3),
      times_(cached_times),
      texts_(cached_texts) {
  if (config_.num_class_embeds > 0)
    class_embedding_ =
        scope.get("class_embedding.weight", {config_.num_class_embeds, time_channels(config_)});

  const auto &channels = config_.block_out_channels;
  const size_t blocks = channels.size();
  std::vector<int64_t> skip_channels{channels.front()};
  for (size_t i = 0; i < blocks; ++i) {
    const bool last = i + 1 == blocks;
    const auto shape = block_shape(config_, i, attends(config_.down_block_types[i]),
                                   config_.only_cross_attention[i]);
    down_blocks_.emplace_back(scope / "down_blocks" / i,
                              i == 0 ? channels.front() : channels[i - 1], channels[i], shape,
                              last ? std::nullopt : std::make_optional(config_.downsample_padding));
    skip_channels.insert(skip_channels.end(), size_t(shape.layers + (last ? 0 : 1)), channels[i]);
  }
  mid_block_.emplace(
      scope / "mid_block", channels.back(),
      block_shape(config_, blocks - 1, true, config_.mid_block_only_cross_attention));
  for (size_t i = 0; i < blocks; ++i) {
    const size_t level = blocks - 1 - i;
    const auto shape = block_shape(config_, level, attends(config_.up_block_types[i]),
                                   config_.only_cross_attention[level]);
    const size_t taken = size_t(shape.layers) + 1;
    const std::vector<int64_t> skips(skip_channels.rbegin(),
                                     skip_channels.rbegin() + std::ptrdiff_t(taken));
    skip_channels.resize(skip_channels.size() - taken);
    up_blocks_.emplace_back(scope / "up_blocks" / i, channels[std::min(level + 1, blocks - 1)],
                            channels[level], skips, shape, level > 0);
  }
  dtype_ = conv_in_.dtype();
}

void UNet2DConditionModel::check_input(const torch::Tensor &sample, const torch::Tensor &timesteps,
                                       const TextEmbeddings &text,
                                       const torch::Tensor &class_labels) const {
  if (!sample.defined() || sample.dim() != 4 || sample.size(1) != config_.in_channels ||
      sample.numel() == 0)
    misfit("a sample [batch, " + std::to_string(config_.in_channels) + ", h, w]", sample);
  const int64_t batch = sample.size(0), width = config_.cross_attention_dim.front();
  if (!timesteps.defined() || timesteps.dim() != 1 || timesteps.size(0) != batch)
    misfit("one timestep per sample", timesteps);
  if (!text.hidden.defined() || text.hidden.dim() != 3 || text.hidden.size(0) != batch ||
      text.hidden.size(1) == 0 || text.hidden.size(2) != width)
    misfit("text states [batch, tokens, " + std::to_string(width) + "]", text.hidden);
  if (class_embedding_.defined() &&
      (!class_labels.defined() || class_labels.dim() != 1 || class_labels.size(0) != batch))
    misfit("one class label (noise level) per sample", class_labels);
}

torch::Tensor UNet2DConditionModel::embed_time(const torch::Tensor &timesteps,
                                               const torch::Tensor &class_labels) const {
  auto sinusoids = timestep_embedding(timesteps, config_.block_out_channels.front());
  OutputObserver::report("time_proj", sinusoids);
  auto embedding = time_linear_2_(at::silu(time_linear_1_(sinusoids.to(dtype_))));
  OutputObserver::report("time_embedding", embedding);
  if (class_embedding_.defined()) {
    const auto of_class = at::embedding(class_embedding_, class_labels);
    OutputObserver::report("class_embedding", of_class);
    embedding = embedding + of_class;
  }
  OutputObserver::report("emb", embedding);
  return at::silu(embedding);
}

torch::Tensor UNet2DConditionModel::forward(const torch::Tensor &sample,
                                            const torch::Tensor &timesteps,
                                            const TextEmbeddings &text,
                                            const torch::Tensor &class_labels) {
  return evaluate(nullptr, sample, timesteps, text, class_labels);
}

torch::Tensor UNet2DConditionModel::forward_past(DeepFeatures &deep, const torch::Tensor &sample,
                                                 const torch::Tensor &timesteps,
                                                 const TextEmbeddings &text,
                                                 const torch::Tensor &class_labels) {
  return evaluate(&deep, sample, timesteps, text, class_labels);
}

int64_t UNet2DConditionModel::deep_branches() const {
  return branches_per_level * int64_t(down_blocks_.size());
}

torch::Tensor UNet2DConditionModel::evaluate(DeepFeatures *deep, const torch::Tensor &sample,
                                             const torch::Tensor &timesteps,
                                             const TextEmbeddings &text,
                                             const torch::Tensor &class_labels) {
  check_input(sample, timesteps, text, class_labels);
  std::vector<torch::Tensor> time_key{timesteps};
  if (class_embedding_.defined()) time_key.push_back(class_labels);
  const auto time = times_.find(time_key, [&] { return embed_time(timesteps, class_labels); });
  const auto words = texts_.find({text.hidden}, [&] { return text.hidden.to(dtype_); });
  const UNetConditions conditions{*time, *words};

  // Observers are shown the whole batch.
  std::vector<torch::Tensor> inputs{sample};
  inputs.insert(inputs.end(), time_key.begin(), time_key.end());
  const int64_t distinct = OutputObserver::active() ? sample.size(0) : distinct_samples(inputs);
  auto x = sample.narrow(0, 0, distinct)
               .to(dtype_, /*non_blocking=*/false, /*copy=*/false, at::MemoryFormat::ChannelsLast);
  if (config_.center_input_sample) x = 2 * x - 1;
  x = conv_in_(x);
  std::vector<torch::Tensor> skips{x};
  x = run_blocks(std::move(x), conditions, skips, deep);
  x = conv_out_(conv_norm_out_.silu(x));
  OutputObserver::report("out", x);
  return x.to(sample.scalar_type());
}

torch::Tensor UNet2DConditionModel::run_blocks(torch::Tensor x, const UNetConditions &conditions,
                                               std::vector<torch::Tensor> &skips,
                                               DeepFeatures *deep) const {
  const auto run_down = [&](const UNetDownBlock2D &block, size_t from) {
    x = block.run_layers(std::move(x), conditions, skips, from, block.layers());
    x = block.downsample(std::move(x), skips);
  };
  const auto run_up = [&](const UNetUpBlock2D &block, size_t from) {
    x = block.run_layers(std::move(x), conditions, skips, from, block.layers());
    x = block.upsample(std::move(x), skips);
  };
  // The layers outside of a branch come first and last; the deep ones between them may be known.
  const int64_t branch = deep ? deep->branch : 0;
  const auto level = size_t(branch / branches_per_level);
  const size_t last_level = down_blocks_.size() - 1;
  const UNetDownBlock2D &down = down_blocks_.at(level);
  const UNetUpBlock2D &up = up_blocks_[last_level - level];
  const size_t outer = std::min(size_t(branch % branches_per_level), down.layers());
  const size_t inner_up = up.layers() - 1 - outer;

  for (size_t i = 0; i < level; ++i) run_down(down_blocks_[i], 0);
  x = down.run_layers(std::move(x), conditions, skips, 0, outer);
  if (deep && deep->value.defined()) {
    x = deep->value;
  } else {
    run_down(down, outer);
    for (size_t i = level + 1; i <= last_level; ++i) run_down(down_blocks_[i], 0);
    x = (*mid_block_)(x, conditions);
    for (size_t i = 0; i < last_level - level; ++i) run_up(up_blocks_[i], 0);
    x = up.run_layers(std::move(x), conditions, skips, 0, inner_up);
    if (deep) deep->value = x;
  }
  run_up(up, inner_up);
  for (size_t i = last_level - level + 1; i <= last_level; ++i) run_up(up_blocks_[i], 0);
  return x;
}

}  // namespace livepeer
