// Random small configurations of the big networks: every combination that a configuration can name
// must give the right shape and finite numbers, for any size of picture and text.

#include <gtest/gtest.h>
#include <torch/utils.h>

#include <random>

#include "nn/unet/unet_2d_condition_model.h"
#include "nn/vae/autoencoder_kl.h"
#include "nn/vae/autoencoder_tiny.h"
#include "weights/random_parameters.h"

namespace livepeer {
namespace {

using nlohmann::json;

class NetworkFuzz : public testing::TestWithParam<unsigned> {
 protected:
  int64_t pick(int64_t least, int64_t most) {
    return std::uniform_int_distribution<int64_t>(least, most)(random_);
  }
  bool coin() { return pick(0, 1) == 1; }
  torch::Dtype pick_dtype() { return coin() ? torch::kFloat : torch::kBFloat16; }

  static void expect_sound(const torch::Tensor &output, at::IntArrayRef shape, const json &config) {
    EXPECT_EQ(output.sizes(), shape) << config;
    EXPECT_TRUE(output.isfinite().all().item<bool>()) << config;
  }

  std::mt19937 random_{GetParam()};
  const torch::NoGradGuard no_grad_;
};

TEST_P(NetworkFuzz, UNet2DConditionModel) {
  const size_t blocks = size_t(pick(1, 4));
  const int64_t groups = pick(1, 4), text_channels = pick(1, 24), classes = pick(0, 1) * 30;
  json channels = json::array(), heads = json::array(), layers = json::array(),
       transformers = json::array(), crossing = json::array(), down = json::array(),
       up = json::array();
  for (size_t i = 0; i < blocks; ++i) {
    const int64_t of_block = pick(1, 3);
    heads.push_back(of_block);
    channels.push_back(2 * groups * of_block * pick(1, 3));
    layers.push_back(pick(1, 2));
    transformers.push_back(pick(1, 2));
    crossing.push_back(coin());
    down.push_back(coin() ? "DownBlock2D" : "CrossAttnDownBlock2D");
    up.push_back(coin() ? "UpBlock2D" : "CrossAttnUpBlock2D");
  }
  json config = {{"in_channels", pick(1, 9)},
                 {"out_channels", pick(1, 5)},
                 {"block_out_channels", channels},
                 {"attention_head_dim", heads},
                 {"transformer_layers_per_block", transformers},
                 {"norm_num_groups", groups},
                 {"cross_attention_dim", text_channels},
                 {"down_block_types", down},
                 {"up_block_types", up},
                 {"use_linear_projection", coin()},
                 {"center_input_sample", coin()},
                 {"layers_per_block", layers}};
  if (coin())
    config["only_cross_attention"] = crossing;
  else
    config["only_cross_attention"] = coin();
  if (classes > 0) config["num_class_embeds"] = classes;

  RandomParameters parameters(GetParam(), 1.0, torch::dtype(pick_dtype()));
  UNet2DConditionModel unet(Config(config, "fuzz"), ParameterScope(parameters));
  for (int run = 0; run < 2; ++run) {
    const int64_t batch = pick(1, 3), height = pick(1, 21), width = pick(1, 21);
    const auto sample = torch::randn({batch, unet.in_channels(), height, width});
    const auto output = unet.forward(
        sample, torch::rand({batch}) * 999, {torch::randn({batch, pick(1, 9), text_channels}), {}},
        classes > 0 ? torch::randint(classes, {batch}, torch::kLong) : torch::Tensor());
    expect_sound(output, {batch, config["out_channels"].get<int64_t>(), height, width}, config);
  }
}

TEST_P(NetworkFuzz, AutoencoderKL) {
  const size_t blocks = size_t(pick(1, 4));
  const int64_t groups = pick(1, 4), latent_channels = pick(1, 6);
  json channels = json::array();
  for (size_t i = 0; i < blocks; ++i) channels.push_back(groups * pick(1, 5));
  const json config = {{"block_out_channels", channels},
                       {"norm_num_groups", groups},
                       {"latent_channels", latent_channels},
                       {"layers_per_block", pick(1, 2)},
                       {"mid_block_add_attention", coin()},
                       {"use_quant_conv", coin()},
                       {"use_post_quant_conv", coin()},
                       {"down_block_types", json(blocks, "DownEncoderBlock2D")},
                       {"up_block_types", json(blocks, "UpDecoderBlock2D")}};
  RandomParameters parameters(GetParam(), 1.0, torch::dtype(pick_dtype()));
  AutoencoderKL vae(Config(config, "fuzz"), ParameterScope(parameters));
  const int64_t batch = pick(1, 2), height = pick(1, 9), width = pick(1, 9);
  const int64_t factor = int64_t(1) << (blocks - 1);
  expect_sound(vae.decode(torch::randn({batch, latent_channels, height, width}), {}),
               {batch, 3, factor * height, factor * width}, config);
  const auto latents = vae.encode(torch::randn({batch, 3, factor * height, factor * width}));
  expect_sound(latents.mean, {batch, latent_channels, height, width}, config);
  expect_sound(latents.logvar, {batch, latent_channels, height, width}, config);
}

TEST_P(NetworkFuzz, AutoencoderTiny) {
  const size_t stages = size_t(pick(1, 4));
  const int64_t latent_channels = pick(1, 6), width_of_encoder = pick(1, 12),
                width_of_decoder = pick(1, 12);
  json encoder = json::array(), decoder = json::array();
  for (size_t i = 0; i < stages; ++i) {
    encoder.push_back(pick(1, 3));
    decoder.push_back(pick(1, 3));
  }
  const json config = {{"latent_channels", latent_channels},
                       {"num_encoder_blocks", encoder},
                       {"num_decoder_blocks", decoder},
                       {"encoder_block_out_channels", json(stages, width_of_encoder)},
                       {"decoder_block_out_channels", json(stages, width_of_decoder)}};
  RandomParameters parameters(GetParam(), 1.0, torch::dtype(pick_dtype()));
  AutoencoderTiny vae(Config(config, "fuzz"), ParameterScope(parameters));
  const int64_t batch = pick(1, 2), height = pick(1, 9), width = pick(1, 9);
  const int64_t factor = int64_t(1) << (stages - 1);
  expect_sound(vae.decode(torch::randn({batch, latent_channels, height, width}), {}),
               {batch, 3, factor * height, factor * width}, config);
  expect_sound(vae.encode(torch::randn({batch, 3, factor * height, factor * width})),
               {batch, latent_channels, height, width}, config);
}

INSTANTIATE_TEST_SUITE_P(Seeds, NetworkFuzz, testing::Range(0u, 60u));

/// The decoder's reach is what it says: pixels further away do not change, one at the edge may.
TEST(AutoencoderTinyReach, IsBounded) {
  const torch::NoGradGuard no_grad;
  RandomParameters parameters(1);
  AutoencoderTiny vae(Config({{"num_encoder_blocks", {1, 1, 1}},
                              {"num_decoder_blocks", {1, 2, 1}},
                              {"encoder_block_out_channels", {8, 8, 8}},
                              {"decoder_block_out_channels", {8, 8, 8}}},
                             "reach"),
                      ParameterScope(parameters));
  const int64_t radius = *vae.receptive_radius(), side = 2 * radius + 9, centre = side / 2;
  const auto latents = torch::randn({1, 4, side, side});
  auto changed = latents.clone();
  changed.select(3, centre).select(2, centre).add_(1);
  const auto difference =
      (vae.decode(changed, {}) - vae.decode(latents, {})).abs().sum(at::IntArrayRef{0, 1});
  auto outside = difference.clone();
  const int64_t begin = 4 * (centre - radius), length = 4 * (2 * radius + 1);
  outside.narrow(0, begin, length).narrow(1, begin, length).zero_();
  EXPECT_EQ(outside.abs().max().item<double>(), 0);
  EXPECT_GT(difference.max().item<double>(), 0);
}

TEST(UNetConfiguration, ContradictionsAreRefusedByName) {
  const json sound = {{"block_out_channels", {8, 16}},
                      {"down_block_types", {"DownBlock2D", "CrossAttnDownBlock2D"}},
                      {"up_block_types", {"CrossAttnUpBlock2D", "UpBlock2D"}},
                      {"norm_num_groups", 4},
                      {"attention_head_dim", 2}};
  EXPECT_NO_THROW(UNet2DConditionConfig(Config(sound, "sound")));
  const std::vector<std::pair<std::string, json>> faults = {
      {"block_out_channels", {8, 18}},
      {"block_out_channels", {8}},
      {"block_out_channels", "wide"},
      {"block_out_channels", {-8, 16}},
      {"down_block_types", {"DownBlock2D", "AttnDownBlock2D"}},
      {"up_block_types", {"UpBlock2D"}},
      {"norm_num_groups", 0},
      {"attention_head_dim", 3},
      {"attention_head_dim", {2, 2, 2}},
      {"layers_per_block", 1000000000},
      {"layers_per_block", 0},
      {"cross_attention_dim", -1},
      {"only_cross_attention", {true}},
      {"only_cross_attention", "yes"},
      {"mid_block_type", "UNetMidBlock2DSimpleCrossAttn"},
      {"resnet_time_scale_shift", "scale_shift"},
      {"class_embed_type", "projection"},
      {"addition_embed_type", "text_time"},
      {"time_embedding_type", "fourier"},
      {"act_fn", "gelu"},
      {"in_channels", 0}};
  for (const auto &[key, value] : faults) {
    auto values = sound;
    values[key] = value;
    try {
      UNet2DConditionConfig(Config(values, "faulty"));
      ADD_FAILURE() << key << " = " << value << " was taken";
    } catch (const Error &error) {
      EXPECT_EQ(error.kind(), ErrorKind::open_read);
      EXPECT_NE(std::string(error.what()).find(key), std::string::npos) << error.what();
    }
  }
}

TEST(UNetInput, MisfitsAreRefused) {
  const torch::NoGradGuard no_grad;
  RandomParameters parameters(1);
  UNet2DConditionModel unet(Config({{"block_out_channels", {8}},
                                    {"down_block_types", {"CrossAttnDownBlock2D"}},
                                    {"up_block_types", {"CrossAttnUpBlock2D"}},
                                    {"norm_num_groups", 4},
                                    {"attention_head_dim", 2},
                                    {"in_channels", 7},
                                    {"cross_attention_dim", 6},
                                    {"num_class_embeds", 10}},
                                   "misfit"),
                            ParameterScope(parameters));
  const auto sample = torch::randn({1, 7, 4, 4}), time = torch::ones({1}),
             words = torch::randn({1, 3, 6}), label = torch::ones({1}, torch::kLong);
  const auto refused = [&](const torch::Tensor &a, const torch::Tensor &b, const torch::Tensor &c,
                           const torch::Tensor &d) {
    try {
      unet.forward(a, b, {c, {}}, d);
      return false;
    } catch (const Error &error) {
      return error.kind() == ErrorKind::settings;
    }
  };
  EXPECT_FALSE(refused(sample, time, words, label));
  EXPECT_TRUE(refused(torch::randn({1, 4, 4, 4}), time, words, label));
  EXPECT_TRUE(refused(torch::randn({1, 7, 0, 4}), time, words, label));
  EXPECT_TRUE(refused(sample, torch::ones({2}), words, label));
  EXPECT_TRUE(refused(sample, time, torch::randn({1, 3, 5}), label));
  EXPECT_TRUE(refused(sample, time, torch::randn({2, 3, 6}), label));
  EXPECT_TRUE(refused(sample, time, words, {}));
}

}  // namespace
}  // namespace livepeer
