#include "nn/embedded/denoiser_ensemble.h"

namespace livepeer {
namespace {

/// The configuration of one expert.
Config expert_config(const Config &config, size_t expert) {
  const auto blocks = config.require<std::vector<int64_t>>("num_blocks");
  if (blocks.size() != 2)
    config.fail("num_blocks", "must be a list of two numbers, one for each expert");
  auto values = config.json();
  values["num_blocks"] = blocks[expert];
  return {values, config.origin()};
}

}  // namespace

DenoiserEnsemble::DenoiserEnsemble(const Config &config, const ParameterScope &scope)
    : first_expert_from_(config.require<double>("first_expert_from")),
      first_(expert_config(config, 0), scope / "experts.0"),
      second_(expert_config(config, 1), scope / "experts.1") {}

torch::Tensor DenoiserEnsemble::forward(const torch::Tensor &sample, const torch::Tensor &timesteps,
                                        const TextEmbeddings &text,
                                        const torch::Tensor &class_labels) {
  const auto times = timesteps.to(torch::kCPU, torch::kDouble);
  const auto first = times >= first_expert_from_;
  if (first.all().item<bool>()) return first_.forward(sample, timesteps, text, class_labels);
  if (!first.any().item<bool>()) return second_.forward(sample, timesteps, text, class_labels);

  std::vector<torch::Tensor> results;
  for (int64_t i = 0; i < sample.size(0); ++i) {
    // What the whole batch shares may come as one row.
    const auto row = [&](const torch::Tensor &tensor) {
      return tensor.defined() && tensor.size(0) > 1 ? tensor.narrow(0, i, 1) : tensor;
    };
    FlatDenoiser &expert = first[i].item<bool>() ? first_ : second_;
    results.push_back(expert.forward(sample.narrow(0, i, 1), row(timesteps), {{}, row(text.pooled)},
                                     row(class_labels)));
  }
  return torch::cat(results);
}

}  // namespace livepeer
