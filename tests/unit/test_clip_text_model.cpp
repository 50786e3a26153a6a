// What the recorded results do not hold of CLIPTextModel, against closed forms: the end token of
// newer configurations, quick_gelu, causality, training. Not compared with transformers.
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "nn/clip/clip_text_model.h"
#include "weights/random_parameters.h"

namespace livepeer {
namespace {

Config config_with(const nlohmann::json &changes = nlohmann::json::object()) {
  nlohmann::json values = {{"vocab_size", 10},           {"hidden_size", 8},
                           {"num_attention_heads", 2},   {"num_hidden_layers", 1},
                           {"intermediate_size", 12},    {"max_position_embeddings", 6},
                           {"hidden_act", "quick_gelu"}, {"eos_token_id", 7}};
  values.update(changes);
  return Config(values, "config.json");
}

TEST(ClipTextModel, PoolsTheFirstEndToken) {
  const torch::NoGradGuard no_grad;
  RandomParameters source(1);
  const CLIPTextModel model(config_with(), source);
  const auto ids = torch::tensor({{1, 7, 9, 7}, {1, 2, 9, 3}, {1, 2, 3, 7}});
  const auto text = model.forward(ids);
  EXPECT_TRUE(torch::equal(text.pooled[0], text.hidden[0][1]));
  EXPECT_TRUE(torch::equal(text.pooled[1], text.hidden[1][0]));  // none: the first position
  EXPECT_TRUE(torch::equal(text.pooled[2], text.hidden[2][3]));
}

TEST(ClipTextModel, PoolsTheLargestIdWhereTheConfigurationIsOld) {
  const torch::NoGradGuard no_grad;
  RandomParameters source(1);
  const CLIPTextModel model(config_with({{"eos_token_id", 2}}), source);
  const auto text = model.forward(torch::tensor({{1, 2, 9, 9}}));
  EXPECT_TRUE(torch::equal(text.pooled[0], text.hidden[0][2]));
}

TEST(ClipTextModel, LaterTokensDoNotMatter) {
  const torch::NoGradGuard no_grad;
  RandomParameters source(2);
  const CLIPTextModel model(config_with({{"num_hidden_layers", 3}}), source);
  const auto one = model.forward(torch::tensor({{1, 2, 3, 4, 5}})).hidden;
  const auto other = model.forward(torch::tensor({{1, 2, 3, 8, 9}})).hidden;
  EXPECT_TRUE(torch::allclose(one.slice(1, 0, 3), other.slice(1, 0, 3), 0, 1e-6));
  EXPECT_FALSE(torch::allclose(one.slice(1, 3, 5), other.slice(1, 3, 5), 0, 1e-2));
  const auto alone = model.forward(torch::tensor({{1, 2, 3}})).hidden;
  EXPECT_TRUE(torch::allclose(one.slice(1, 0, 3), alone, 0, 1e-6));
}

/// With one token attention is its value, so the whole layer can be written down.
TEST(ClipTextModel, OneTokenFollowsTheFormula) {
  const torch::NoGradGuard no_grad;
  RandomParameters source(3);
  for (const std::string activation : {"gelu", "quick_gelu"}) {
    const CLIPTextModel model(config_with({{"hidden_act", activation}}), source);
    std::map<std::string, torch::Tensor> p;
    for (const auto &[name, tensor] : source.parameters()) p[name.substr(11)] = tensor;
    const auto norm = [](const torch::Tensor &x) {
      const auto centred = x - x.mean();
      return centred / (centred.square().mean() + 1e-5).sqrt();
    };
    const std::string layer = "encoder.layers.0.";
    auto x =
        p["embeddings.token_embedding.weight"][4] + p["embeddings.position_embedding.weight"][0];
    x = x +
        p[layer + "self_attn.out_proj.weight"].mv(p[layer + "self_attn.v_proj.weight"].mv(norm(x)));
    const auto z = p[layer + "mlp.fc1.weight"].mv(norm(x));
    const auto active = activation == "gelu" ? z * 0.5 * (1 + torch::erf(z / std::sqrt(2.0)))
                                             : z / (1 + torch::exp(-1.702 * z));
    x = norm(x + p[layer + "mlp.fc2.weight"].mv(active));
    const auto ours = model.forward(torch::tensor({{4}})).hidden[0][0];
    EXPECT_TRUE(torch::allclose(ours, x, 1e-5, 1e-5)) << activation << "\n" << ours << "\n" << x;
  }
}

TEST(ClipTextModel, GradientsReachEveryParameter) {
  RandomParameters source(4);
  const CLIPTextModel model(config_with(), source);
  for (const auto &[name, tensor] : source.parameters()) tensor.requires_grad_(true);
  // Three tokens, so that queries and keys matter.
  model.forward(torch::tensor({{1, 2, 7}})).pooled.square().sum().backward();
  for (const auto &[name, tensor] : source.parameters()) {
    ASSERT_TRUE(tensor.grad().defined()) << name;
    // softmax does not see a shift that all keys share.
    if (name.find("k_proj.bias") != std::string::npos) continue;
    EXPECT_GT(tensor.grad().abs().max().item<double>(), 0) << name;
  }
}

TEST(ClipTextModel, RefusesConfigurationsThatCannotBeRight) {
  for (const nlohmann::json &changes :
       {nlohmann::json{{"num_attention_heads", 3}}, nlohmann::json{{"num_attention_heads", 0}},
        nlohmann::json{{"hidden_act", "relu6"}}, nlohmann::json{{"num_hidden_layers", 100000}},
        nlohmann::json{{"vocab_size", -4}}, nlohmann::json{{"hidden_size", "8"}}}) {
    RandomParameters source(5);
    EXPECT_THROW(CLIPTextModel(config_with(changes), source), Error) << changes;
  }
}

}  // namespace
}  // namespace livepeer
