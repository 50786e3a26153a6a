#include "nn/denoiser_ensemble.h"

namespace livepeer {

DenoiserEnsemble::DenoiserEnsemble(const Config &config, const ParameterScope &scope)
    : first_expert_from_(config.require<double>("first_expert_from")),
      first_(config, scope / "experts.0"),
      second_(config, scope / "experts.1") {}

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
