#include "golden/network_support.h"

#include <torch/utils.h>

#include "nn/vae/autoencoder_kl.h"
#include "nn/vae/autoencoder_tiny.h"

namespace livepeer {
namespace {

constexpr double float32_tolerance = 1e-5;
/// What bfloat16 may lose. diffusers loses up to 0.91e-2 decoding, 1.21e-2 encoding, and 0.95e-2
/// with AutoencoderTiny; rounding nothing but the weights costs half of that.
constexpr double decoding_rms = 1.1e-2, encoding_rms = 1.55e-2, tiny_rms = 1.1e-2;

std::vector<NetworkRun> all_runs() {
  auto runs = float32_runs();
  runs.push_back({"bfloat16", "", torch::kBFloat16, 1});
  return runs;
}

using CaseAndRun = std::tuple<std::string, NetworkRun>;

std::string name_of(const testing::TestParamInfo<CaseAndRun> &info) {
  return std::get<0>(info.param) + "_" + std::get<1>(info.param).name;
}

void expect_output(const NetworkRun &run, const torch::Tensor &actual,
                   const torch::Tensor &expected, double bfloat16_rms, const std::string &what) {
  if (run.dtype == torch::kFloat)
    expect_close(actual, expected, float32_tolerance, what);
  else
    EXPECT_LT(relative_rms(actual, expected), bfloat16_rms) << what;
}

class VaeDecodeGolden : public testing::TestWithParam<CaseAndRun> {};

TEST_P(VaeDecodeGolden, OutputIsThatOfDiffusers) {
  const auto &[id, run] = GetParam();
  const auto tensors = golden_tensors(golden_case(id).at("file"));
  const ThreadCount threads(run.threads);
  const torch::NoGradGuard no_grad;
  const auto vae = load_network<AutoencoderKL>("tiny-upscaler/vae", run);
  EXPECT_EQ(vae->scaling_factor(), 0.08333);
  expect_output(run, vae->decode(tensors.at("z"), {}), tensors.at("sample"), decoding_rms, id);
}

INSTANTIATE_TEST_SUITE_P(Cases, VaeDecodeGolden,
                         testing::Combine(testing::Values("vae_decode_8x8_blocks",
                                                          "vae_decode_16x16", "vae_decode_5x7",
                                                          "vae_decode_b2_6x4"),
                                          testing::ValuesIn(all_runs())),
                         name_of);

TEST(VaeStagesGolden, vae_decode_8x8_blocks) {
  auto expected = golden_tensors(golden_case("vae_decode_8x8_blocks").at("file"));
  const auto z = expected.at("z");
  expected.erase("z");
  expected.erase("sample");  // compared with the other cases
  const torch::NoGradGuard no_grad;
  for (const auto &run : float32_runs()) {
    const auto vae = load_network<AutoencoderKL>("tiny-upscaler/vae", run);
    const StageComparison stages(expected, float32_tolerance);
    vae->decode(z, {});
    EXPECT_EQ(stages.missed(), std::vector<std::string>()) << run.name;
  }
}

TEST(VaeLegacyKeysGolden, vae_legacy_keys) {
  const auto entry = golden_case("vae_legacy_keys");
  const auto tensors = golden_tensors(entry.at("file"));
  const torch::NoGradGuard no_grad;
  const auto vae = load_network<AutoencoderKL>(entry.at("model"), {"legacy", "", torch::kFloat, 1});
  expect_close(vae->decode(tensors.at("z"), {}), tensors.at("sample"), float32_tolerance,
               "vae_legacy_keys");
}

class VaeEncodeGolden : public testing::TestWithParam<CaseAndRun> {};

TEST_P(VaeEncodeGolden, OutputIsThatOfDiffusers) {
  const auto &[id, run] = GetParam();
  const auto tensors = golden_tensors(golden_case(id).at("file"));
  const ThreadCount threads(run.threads);
  const torch::NoGradGuard no_grad;
  const auto vae = load_network<AutoencoderKL>("tiny-upscaler/vae", run);
  const auto latents = vae->encode(tensors.at("x"));
  expect_output(run, latents.mean, tensors.at("mean"), encoding_rms, id + " mean");
  expect_output(run, latents.logvar, tensors.at("logvar"), encoding_rms, id + " logvar");
  if (run.dtype == torch::kFloat) {
    expect_close(latents.std_deviation(), tensors.at("std"), float32_tolerance, id + " std");
    expect_close(latents.sample(tensors.at("noise")), tensors.at("sample_with_noise"),
                 float32_tolerance, id + " sample");
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, VaeEncodeGolden,
                         testing::Combine(testing::Values("vae_encode_32x32", "vae_encode_36x28",
                                                          "vae_encode_33x30_odd"),
                                          testing::ValuesIn(all_runs())),
                         name_of);

class VaeTinyGolden : public testing::TestWithParam<NetworkRun> {};

TEST_P(VaeTinyGolden, autoencoder_tiny) {
  const auto entry = golden_case("autoencoder_tiny");
  const auto tensors = golden_tensors(entry.at("file"));
  const auto &run = GetParam();
  const ThreadCount threads(run.threads);
  const torch::NoGradGuard no_grad;
  const auto vae = load_network<AutoencoderTiny>(entry.at("model"), run);
  EXPECT_EQ(vae->scaling_factor(), 1.0);
  for (const std::string size : {"5x7", "12x20", "16x16"})
    expect_output(run, vae->decode(tensors.at("z." + size), {}), tensors.at("decoded." + size),
                  tiny_rms, "decoded." + size);
  for (const std::string size : {"32x32", "36x28"})
    expect_output(run, vae->encode(tensors.at("x." + size)), tensors.at("encoded." + size),
                  tiny_rms, "encoded." + size);
}

INSTANTIATE_TEST_SUITE_P(Runs, VaeTinyGolden,
                         testing::Values(NetworkRun{"float32", "", torch::kFloat, 1},
                                         NetworkRun{"float32_2threads", "", torch::kFloat, 2},
                                         NetworkRun{"bfloat16", "", torch::kBFloat16, 1}),
                         [](const auto &info) { return info.param.name; });

}  // namespace
}  // namespace livepeer
