#include "nn/clip/clip_vision_model.h"

#include "nn/output_observer.h"

namespace livepeer {
namespace {

int64_t positive(const Config &config, const std::string &key, int64_t fallback) {
  const auto value = config.get<int64_t>(key, fallback);
  if (value < 1 || value > 1 << 16) config.fail(key, "is out of range");
  return value;
}

int64_t positions(const Config &config) {
  const int64_t side = positive(config, "image_size", 224) / positive(config, "patch_size", 32);
  return side * side + 1;
}

}  // namespace

CLIPVisionModel::CLIPVisionModel(const Config &config, const ParameterScope &scope)
    : path_((scope / "vision_model").path()),
      hidden_size_(positive(config, "hidden_size", 768)),
      patch_embedding_(scope / "vision_model.embeddings.patch_embedding",
                       positive(config, "num_channels", 3), hidden_size_,
                       positive(config, "patch_size", 32), positive(config, "patch_size", 32), 0,
                       /*has_bias=*/false),
      class_embedding_(scope.get("vision_model.embeddings.class_embedding", {hidden_size_})),
      position_embedding_(scope.get("vision_model.embeddings.position_embedding.weight",
                                    {positions(config), hidden_size_})),
      // The misspelling is transformers'.
      pre_layernorm_(scope / "vision_model.pre_layrnorm", hidden_size_,
                     config.get<double>("layer_norm_eps", 1e-5)),
      encoder_(config, scope / "vision_model.encoder"),
      post_layernorm_(scope / "vision_model.post_layernorm", hidden_size_,
                      config.get<double>("layer_norm_eps", 1e-5)) {}

torch::Tensor CLIPVisionModel::operator()(const torch::Tensor &pixels) const {
  const auto patches = patch_embedding_(pixels).flatten(2).transpose(1, 2);
  const auto of_class = class_embedding_.expand({pixels.size(0), 1, hidden_size_});
  const auto embeddings = at::cat({of_class, patches}, 1) + position_embedding_;
  OutputObserver::report(path_ + ".embeddings", embeddings);
  const auto states = encoder_(pre_layernorm_(embeddings), /*causal=*/false);
  return post_layernorm_(states.select(1, 0));
}

}  // namespace livepeer
