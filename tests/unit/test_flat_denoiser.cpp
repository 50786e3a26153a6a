#include <gtest/gtest.h>
#include <torch/utils.h>

#include "nn/embedded/denoiser_ensemble.h"
#include "weights/random_parameters.h"

namespace livepeer {
namespace {

Config config(int blocks) {
  return {{{"in_channels", 51},
           {"out_channels", 48},
           {"channels", 32},
           {"num_blocks", blocks},
           {"embedding_dim", 24},
           {"text_dim", 8},
           {"num_train_timesteps", 10}},
          "config.json"};
}

struct FlatDenoiserTest : testing::Test {
  void SetUp() override { torch::manual_seed(1); }

  /// A network of random weights, all of which matter, whose gate closes at t = 9.
  FlatDenoiser network(int blocks, torch::Dtype type = torch::kFloat) {
    RandomParameters source(7, 0.7, type);
    FlatDenoiser result(config(blocks), source);
    for (const auto &[name, tensor] : source.parameters()) {
      if (name == "gate")
        tensor.copy_(torch::linspace(1, 0, 10));
      else if (tensor.dim() == 1)
        tensor.normal_(0, 0.1);
    }
    // What was made before copied some parameters.
    return FlatDenoiser(config(blocks), source);
  }
  static torch::Tensor run(FlatDenoiser &net, const torch::Tensor &sample, double t,
                           int64_t level = 0, const torch::Tensor &pooled = {}) {
    torch::NoGradGuard no_grad;
    return net.forward(sample, torch::full({sample.size(0)}, t), {{}, pooled},
                       torch::full({sample.size(0)}, level, torch::kLong));
  }
};

TEST_F(FlatDenoiserTest, AtTheLastTimestepTheLatentDoesNotMatter) {
  auto net = network(2);
  const auto low_res = torch::rand({1, 3, 12, 9});
  const auto a = torch::cat({torch::randn({1, 48, 12, 9}), low_res}, 1);
  const auto b = torch::cat({torch::randn({1, 48, 12, 9}), low_res}, 1);
  EXPECT_TRUE(torch::equal(run(net, a, 9), run(net, b, 9)));
  EXPECT_TRUE(torch::equal(run(net, a, 8.7), run(net, b, 8.7))) << "timesteps are rounded";
  EXPECT_GT((run(net, a, 4) - run(net, b, 4)).abs().max().item<double>(), 1e-2);
}

TEST_F(FlatDenoiserTest, EveryConditionMatters) {
  auto net = network(2);
  const auto sample = torch::randn({1, 51, 8, 8});
  const auto plain = run(net, sample, 5);
  EXPECT_FALSE(torch::equal(plain, run(net, sample, 5, 100)));
  EXPECT_FALSE(torch::equal(plain, run(net, sample, 5, 0, torch::ones({1, 8}))));
}

TEST_F(FlatDenoiserTest, ThePromptCountsRelativeToTheOrigin) {
  RandomParameters source(7);
  FlatDenoiser net(config(1), source);
  torch::Tensor origin;
  for (const auto &[name, tensor] : source.parameters())
    if (name == "text_origin") origin = tensor.normal_();
  ASSERT_TRUE(origin.defined());
  const auto sample = torch::randn({1, 51, 8, 8});
  EXPECT_TRUE(torch::equal(run(net, sample, 5), run(net, sample, 5, 0, origin.unsqueeze(0))));
}

TEST_F(FlatDenoiserTest, AResultDoesNotDependOnItsBatch) {
  auto net = network(2);
  const auto sample = torch::randn({3, 51, 10, 8});
  const auto together = run(net, sample, 4);
  for (int64_t i = 0; i < 3; ++i)
    EXPECT_TRUE(torch::equal(together[i], run(net, sample.narrow(0, i, 1), 4)[0]));
}

TEST_F(FlatDenoiserTest, FoldedInferenceEqualsTheTrainingPath) {
  auto net = network(3);
  const auto sample = torch::randn({2, 51, 8, 8});
  const auto timesteps = torch::tensor({2.0F, 7.0F});
  const auto levels = torch::tensor({int64_t(0), int64_t(40)});
  const auto trained = net.forward(sample, timesteps, {}, levels);
  torch::NoGradGuard no_grad;
  const auto folded = net.forward(sample, timesteps, {}, levels);
  EXPECT_LT((trained - folded).abs().max().item<double>(),
            1e-4 * trained.abs().max().item<double>());
}

TEST_F(FlatDenoiserTest, ClosedForm) {
  // Only the centre taps that copy: out[0] = relu(2 * (0.5 * low_res red)), through conv_mid's
  // identity and the global skip; the residual block adds nothing.
  RandomParameters source(7);
  FlatDenoiser(config(1), source);  // asks for what it needs
  for (const auto &[name, tensor] : source.parameters()) {
    tensor.zero_();
    if (name == "conv_in.weight") tensor[3][48][1][1] = 0.5;
    if (name == "conv_mid.weight") tensor[3][3][1][1] = 1;
    if (name == "conv_out.weight") tensor[0][3][1][1] = 1;
    if (name == "conv_out.bias") tensor[1] = -2;
  }
  FlatDenoiser net(config(1), source);  // keeps copies of some
  const auto sample = torch::randn({1, 51, 6, 5});
  const auto out = run(net, sample, 3);
  EXPECT_TRUE(torch::allclose(out[0][0], sample[0][48].relu()));
  EXPECT_TRUE(torch::equal(out[0][1], torch::full({6, 5}, -2.0F)));
  EXPECT_EQ(out[0].narrow(0, 2, 46).abs().max().item<float>(), 0);
}

TEST_F(FlatDenoiserTest, TilesWithAHaloAreExact) {
  for (const auto type : {torch::kFloat, torch::kBFloat16}) {
    auto net = network(2, type);
    const int64_t halo = *net.receptive_radius();
    ASSERT_EQ(halo, 7);
    const auto sample = torch::randn({1, 51, 70, 85});
    const auto whole = run(net, sample, 5);
    for (const auto &[y, x] : {std::pair<int64_t, int64_t>{21, 17}, {31, 7}, {7, 45}}) {
      // Tiles begin at even rows and columns.
      const int64_t height = 32, width = 32;
      const auto tile = run(
          net, sample.narrow(2, y - halo, height + 2 * halo).narrow(3, x - halo, width + 2 * halo),
          5);
      EXPECT_TRUE(torch::equal(tile.narrow(2, halo, height).narrow(3, halo, width),
                               whole.narrow(2, y, height).narrow(3, x, width)))
          << "type " << torch::toString(type) << " at " << x << ", " << y;
    }
  }
}

TEST_F(FlatDenoiserTest, AnEnsembleAsksTheExpertOfTheTimestep) {
  nlohmann::json keys = config(1).json();
  keys["num_blocks"] = {1, 2};
  keys["first_expert_from"] = 9;
  RandomParameters source(5);
  DenoiserEnsemble ensemble(Config(keys, "config.json"), source);
  FlatDenoiser first(config(1), ParameterScope(source) / "experts.0");
  FlatDenoiser second(config(2), ParameterScope(source) / "experts.1");
  EXPECT_EQ(ensemble.receptive_radius(), second.receptive_radius());

  torch::NoGradGuard no_grad;
  const auto sample = torch::randn({3, 51, 6, 5});
  const auto timesteps = torch::tensor({9.0, 9.0, 8.0});
  const auto level = torch::zeros({3}, torch::kLong);
  const auto mixed = ensemble.forward(sample, timesteps, {}, level);
  for (int64_t i = 0; i < 3; ++i) {
    FlatDenoiser &expert = i < 2 ? first : second;
    EXPECT_TRUE(
        torch::equal(mixed[i], expert.forward(sample.narrow(0, i, 1), timesteps.narrow(0, i, 1), {},
                                              level.narrow(0, i, 1))[0]))
        << i;
    EXPECT_TRUE(
        torch::equal(mixed[i], ensemble.forward(sample.narrow(0, i, 1), timesteps.narrow(0, i, 1),
                                                {}, level.narrow(0, i, 1))[0]))
        << i;
  }
}

}  // namespace
}  // namespace livepeer
