#include "golden/network_support.h"

#include <torch/utils.h>

#include "nn/unet/unet_2d_condition_model.h"

namespace livepeer {
namespace {

constexpr double float32_tolerance = 1e-5;
/// Where each rounding falls is a matter of the libtorch: for the same network diffusers itself
/// loses 1.27e-2 to 1.55e-2 in bfloat16, and we 1.56e-2 on libtorch 1.13 and 1.72e-2 on 2.6.
constexpr double bfloat16_relative_rms = 1.8e-2;
/// The sinusoids' arguments reach 1000: the last bits differ between instruction sets.
constexpr double time_proj_tolerance = 1e-4;

class UNetGolden : public testing::TestWithParam<std::tuple<std::string, NetworkRun>> {};

TEST_P(UNetGolden, OutputIsThatOfDiffusers) {
  const auto &[id, run] = GetParam();
  const auto entry = golden_case(id);
  const auto tensors = golden_tensors(entry.at("file"));
  const ThreadCount threads(run.threads);
  const torch::NoGradGuard no_grad;
  const auto unet = load_network<UNet2DConditionModel>("tiny-upscaler/unet", run);
  for (const int timestep : entry.at("timesteps")) {
    const std::string step = ".t" + std::to_string(timestep);
    const auto &sample = tensors.at("sample");
    const auto output =
        unet->forward(sample, torch::full({sample.size(0)}, double(timestep), torch::kFloat),
                      {tensors.at("encoder_hidden_states"), {}}, tensors.at("class_labels" + step));
    const auto &expected = tensors.at("out" + step);
    if (run.dtype == torch::kFloat)
      expect_close(output, expected, float32_tolerance, id + step);
    else
      EXPECT_LT(relative_rms(output, expected), bfloat16_relative_rms) << id + step;
  }
}

std::vector<NetworkRun> all_runs() {
  auto runs = float32_runs();
  runs.push_back({"bfloat16", "", torch::kBFloat16, 1});
  return runs;
}

INSTANTIATE_TEST_SUITE_P(
    Cases, UNetGolden,
    testing::Combine(testing::Values("unet_16x16", "unet_24x40", "unet_12x20_notmult8",
                                     "unet_20x36_notmult8", "unet_17x23_odd", "unet_16x16_ctx5"),
                     testing::ValuesIn(all_runs())),
    [](const auto &info) { return std::get<0>(info.param) + "_" + std::get<1>(info.param).name; });

/// What both halves of a guided evaluation have in common is computed once.
TEST(UNetGuidance, EqualsTwoEvaluations) {
  const auto tensors = golden_tensors(golden_case("unet_16x16").at("file"));
  const torch::NoGradGuard no_grad;
  const auto unet =
      load_network<UNet2DConditionModel>("tiny-upscaler/unet", {"float32", "", torch::kFloat, 1});
  const auto sample = tensors.at("sample").narrow(0, 0, 1);
  const auto text = tensors.at("encoder_hidden_states").narrow(0, 0, 1);
  const auto texts = torch::cat({text, text.flip(1), 2 * text, text});
  const auto evaluate = [&](const torch::Tensor &x, const torch::Tensor &hidden) {
    return unet->forward(x, torch::full({x.size(0)}, 500.0f), {hidden, {}},
                         torch::full({x.size(0)}, 20, torch::kLong));
  };
  const auto other = sample.flip(2);
  const auto together = evaluate(torch::cat({sample, other, sample, other}), texts);
  for (int64_t i = 0; i < 4; ++i)
    expect_close(together.narrow(0, i, 1),
                 evaluate(i % 2 == 0 ? sample : other, texts.narrow(0, i, 1)), float32_tolerance,
                 std::to_string(i));
}

/// What the deep layers made of an input is all that the outer ones need of them.
TEST(UNetBranches, EachGivesTheWholeNetworksResultFromItsOwnDeepFeatures) {
  const auto tensors = golden_tensors(golden_case("unet_17x23_odd").at("file"));
  const torch::NoGradGuard no_grad;
  const auto unet =
      load_network<UNet2DConditionModel>("tiny-upscaler/unet", {"float32", "", torch::kFloat, 1});
  const auto sample = tensors.at("sample"), text = tensors.at("encoder_hidden_states");
  const auto times = torch::full({sample.size(0)}, 500.0f);
  const auto level = torch::full({sample.size(0)}, 20, torch::kLong);
  const auto whole = unet->forward(sample, times, {text, {}}, level);
  const auto other = unet->forward(2 * sample, times, {text, {}}, level);
  ASSERT_GE(unet->deep_branches(), 9);
  for (int64_t branch = 0; branch < unet->deep_branches(); ++branch) {
    DeepFeatures deep{branch, {}};
    EXPECT_TRUE(unet->forward_past(deep, sample, times, {text, {}}, level).equal(whole)) << branch;
    ASSERT_TRUE(deep.value.defined()) << branch;
    EXPECT_TRUE(unet->forward_past(deep, sample, times, {text, {}}, level).equal(whole)) << branch;
    const auto mixed = unet->forward_past(deep, 2 * sample, times, {text, {}}, level);
    EXPECT_GT((mixed - other).abs().max().item<double>(), 1e-4) << "without what is deep";
  }
}

class UNetStagesGolden : public testing::TestWithParam<NetworkRun> {};

TEST_P(UNetStagesGolden, EachModuleGivesWhatItGivesInDiffusers) {
  const auto entry = golden_case("unet_blocks_16x16");
  auto expected = golden_tensors(entry.at("file"));
  const auto sample = expected.at("in.sample"), text = expected.at("in.encoder_hidden_states");
  expected.erase("in.sample");
  expected.erase("in.encoder_hidden_states");

  const ThreadCount threads(GetParam().threads);
  const torch::NoGradGuard no_grad;
  const auto unet = load_network<UNet2DConditionModel>("tiny-upscaler/unet", GetParam());
  const StageComparison stages(expected, float32_tolerance, {{"time_proj", time_proj_tolerance}});
  unet->forward(sample, torch::tensor({double(entry.at("timestep"))}, torch::kFloat), {text, {}},
                torch::tensor({int64_t(entry.at("class_label"))}));
  EXPECT_EQ(stages.missed(), std::vector<std::string>());
  EXPECT_GE(stages.compared(), 110u);
}

INSTANTIATE_TEST_SUITE_P(unet_blocks_16x16, UNetStagesGolden, testing::ValuesIn(float32_runs()),
                         [](const auto &info) { return info.param.name; });

TEST(TimeProjectionGolden, time_proj) {
  const auto tensors = golden_tensors(golden_case("time_proj").at("file"));
  const auto &timesteps = tensors.at("timesteps");
  for (const auto &[name, dim] : {std::pair("tiny_16", 16), std::pair("real_256", 256)}) {
    const auto &expected = tensors.at(name);
    const auto actual = timestep_embedding(timesteps, dim);
    ASSERT_EQ(actual.sizes(), expected.sizes());
    EXPECT_LE((actual - expected).abs().max().item<double>(), time_proj_tolerance) << name;
  }
}

}  // namespace
}  // namespace livepeer
