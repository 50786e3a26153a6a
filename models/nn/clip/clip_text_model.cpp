#include "nn/clip/clip_text_model.h"

#include <algorithm>
#include <vector>

#include "nn/output_observer.h"

namespace livepeer {
namespace {

// Written into configurations before transformers used the id at all; then the largest id counts.
constexpr int64_t legacy_eos_id = 2;

int64_t positive(const Config &config, const std::string &key, int64_t fallback) {
  const auto value = config.get<int64_t>(key, fallback);
  if (value >= 1 && value <= 1 << 24) return value;
  config.fail(key, "is out of range: " + std::to_string(value));
}

}  // namespace

CLIPTextModel::CLIPTextModel(const Config &config, const ParameterScope &scope)
    : eos_id_(config.get<int64_t>("eos_token_id", 49407)),
      token_embedding_(
          scope.get("text_model.embeddings.token_embedding.weight",
                    {positive(config, "vocab_size", 49408), positive(config, "hidden_size", 512)})),
      position_embedding_(scope.get(
          "text_model.embeddings.position_embedding.weight",
          {positive(config, "max_position_embeddings", 77), positive(config, "hidden_size", 512)})),
      encoder_(config, scope / "text_model.encoder"),
      final_norm_(scope / "text_model.final_layer_norm", positive(config, "hidden_size", 512),
                  config.get<double>("layer_norm_eps", 1e-5)) {}

void CLIPTextModel::add_embeddings(const torch::Tensor &vectors) {
  const auto rows = vectors.to(token_embedding_.options());
  added_ = added_.defined() ? torch::cat({added_, rows}) : rows;
}

torch::Tensor CLIPTextModel::embed(const torch::Tensor &input_ids) const {
  if (!added_.defined()) return at::embedding(token_embedding_, input_ids);
  const int64_t known = token_embedding_.size(0);
  return torch::where((input_ids < known).unsqueeze(-1),
                      at::embedding(token_embedding_, input_ids.clamp_max(known - 1)),
                      at::embedding(added_, (input_ids - known).clamp_min(0)));
}

TextEmbeddings CLIPTextModel::forward(const torch::Tensor &input_ids) const {
  const auto embeddings = embed(input_ids) + position_embedding_.slice(0, 0, input_ids.size(1));
  OutputObserver::report("text_model.embeddings", embeddings);
  const auto hidden = final_norm_(encoder_(embeddings, /*causal=*/true));
  return {hidden, pool(hidden, input_ids)};
}

torch::Tensor CLIPTextModel::pool(const torch::Tensor &hidden,
                                  const torch::Tensor &input_ids) const {
  const auto ids = input_ids.to(torch::kCPU, torch::kLong).contiguous();
  std::vector<int64_t> positions;
  for (int64_t row = 0; row < ids.size(0); ++row) {
    const auto *begin = ids.data_ptr<int64_t>() + row * ids.size(1), *end = begin + ids.size(1);
    const auto *at =
        eos_id_ == legacy_eos_id ? std::max_element(begin, end) : std::find(begin, end, eos_id_);
    positions.push_back(at == end ? 0 : at - begin);
  }
  const auto index = torch::tensor(positions).to(hidden.device());
  return hidden.index({torch::arange(hidden.size(0), index.options()), index});
}

}  // namespace livepeer
