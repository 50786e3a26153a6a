// LoRAs in every layout, and what diffusers and peft made of them.
#include <torch/types.h>
#include <torch/utils.h>

#include "diffusion/registry.h"
#include "golden/golden_support.h"
#include "io/lora.h"
#include "weights/component_source.h"

namespace livepeer {
namespace {

struct Outputs {
  torch::Tensor hidden, output;
};

/// What the text encoder and the UNet of the miniature make of the inputs of all cases.
Outputs outputs_with(const std::string &list, torch::Dtype dtype = torch::kFloat) {
  const torch::NoGradGuard no_grad;
  const auto tensors = golden_tensors("tensors/lora.safetensors");
  const nlohmann::json entry = golden_case("lora_peft");
  const Snapshot snapshot(golden_path("tiny-upscaler"));
  const LoraSet loras = open_loras(list, snapshot, /*prefer_half=*/false);
  WeightOptions options;
  options.dtype = dtype;
  options.channels_last = true;
  options.lora = loras.of("text_encoder");
  const auto text = load_prompt_encoder(snapshot.component("tokenizer"),
                                        snapshot.component("text_encoder"), options);
  options.lora = loras.of("unet");
  const auto unet = load_denoiser(snapshot.component("unet"), options);
  const TextEmbeddings prompt{tensors.at("text").to(dtype), {}};
  return {text.encode(entry.at("prompt")).hidden.slice(1, 0, 8),
          unet->forward(tensors.at("sample").to(dtype),
                        torch::full({1}, entry.at("timestep").get<double>()), prompt,
                        torch::full({1}, entry.at("noise_level").get<int64_t>()))};
}

class LoraGolden : public testing::TestWithParam<const char *> {};

TEST_P(LoraGolden, EqualsDiffusersAndPeft) {
  const auto expected = golden_tensors("tensors/lora.safetensors");
  const std::string id = GetParam();
  std::string list;
  const nlohmann::json entry = golden_case(id);
  for (const auto &lora : entry.at("lora"))
    list += "\"" + golden_path(lora.at("file")) + "\"@" + lora.at("weight").dump() + " ";
  ASSERT_FALSE(list.empty());
  const Outputs actual = outputs_with(list);
  expect_close(actual.hidden, expected.at(id + ".hidden"), 1e-5, "hidden");
  expect_close(actual.output, expected.at(id + ".output"), 2e-5, "output");
  const Outputs bfloat16 = outputs_with(list, torch::kBFloat16);
  expect_close(bfloat16.hidden, expected.at(id + ".hidden"), 0.05, "hidden in bfloat16");
  expect_close(bfloat16.output, expected.at(id + ".output"), 0.15, "output in bfloat16");
}

INSTANTIATE_TEST_SUITE_P(Cases, LoraGolden,
                         testing::Values("lora_peft", "lora_peft_dora", "lora_diffusers",
                                         "lora_processors", "lora_kohya", "lora_kohya_dora",
                                         "lora_two"),
                         [](const auto &info) { return std::string(info.param); });

TEST(LoraGoldens, WithoutOneTheModelIsAsItWas) {
  const auto expected = golden_tensors("tensors/lora.safetensors");
  const Outputs actual = outputs_with("");
  expect_close(actual.hidden, expected.at("none.hidden"), 1e-5, "hidden");
  expect_close(actual.output, expected.at("none.output"), 2e-5, "output");
  // A weight of 0 changes nothing: W + 0 x B A.
  const Outputs zero = outputs_with(golden_path("lora/kohya.safetensors") + "@0");
  EXPECT_TRUE(torch::equal(zero.output, actual.output));
  EXPECT_TRUE(torch::equal(zero.hidden, actual.hidden));
}

}  // namespace
}  // namespace livepeer
