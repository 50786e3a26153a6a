// The text encoder against recorded outputs of transformers' CLIPTextModel.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "io/snapshot.h"
#include "io/weights.h"
#include "nn/clip_text_model.h"
#include "support/temporary_folder.h"
#include "text/clip_tokenizer.h"

namespace livepeer {
namespace {

constexpr double tolerance = 1e-5;  // of the largest value, for float32 stages

void expect_close(const torch::Tensor &ours, const torch::Tensor &reference, const char *what) {
  ASSERT_EQ(ours.sizes(), reference.sizes()) << what;
  const double scale = reference.abs().max().item<double>();
  EXPECT_LE((ours - reference).abs().max().item<double>(), tolerance * scale) << what;
}

/// (half-precision file, threads)
class TextEncoderGolden : public ::testing::TestWithParam<std::tuple<bool, int>> {
 protected:
  void SetUp() override {
    if (test::goldens().empty()) GTEST_SKIP() << "the reference data is not at hand";
    at::set_num_threads(std::get<1>(GetParam()));
  }
};

TEST_P(TextEncoderGolden, EveryStateAgrees) {
  const torch::NoGradGuard no_grad;
  const auto reference = read_tensors(test::goldens() / "tensors/text_encoder.safetensors");
  const Snapshot snapshot(test::goldens() / "tiny-upscaler");
  const Component &component = snapshot.component("text_encoder");
  WeightSource weights(component.weight_files(std::get<0>(GetParam())));
  const CLIPTextModel model(component.config(), weights);
  weights.finish();
  EXPECT_EQ(weights.unused(), std::vector<std::string>{"text_model.embeddings.position_ids"});

  std::vector<torch::Tensor> states;
  const auto text = model.forward(reference.at("input_ids"), &states);
  ASSERT_EQ(states.size(), 4u);
  for (size_t i = 0; i < states.size(); ++i) {
    const std::string name = "row0.hidden_states." + std::to_string(i);
    expect_close(states[i].slice(0, 0, 1), reference.at(name), name.c_str());
  }
  expect_close(text.hidden, reference.at("last_hidden_state"), "last_hidden_state");
  expect_close(text.pooled, reference.at("pooler_output"), "pooler_output");
}

TEST_P(TextEncoderGolden, TheTokenizerGivesTheRecordedIds) {
  const auto reference = read_tensors(test::goldens() / "tensors/text_encoder.safetensors");
  const ClipTokenizer tokenizer(test::goldens() / "tiny-upscaler/tokenizer");
  const auto ids = tokenizer.encode("a photo of a cat").ids;
  EXPECT_TRUE(torch::equal(torch::tensor(ids), reference.at("input_ids")[0]));
}

INSTANTIATE_TEST_SUITE_P(FilesAndThreads, TextEncoderGolden,
                         ::testing::Combine(::testing::Bool(), ::testing::Values(1, 2)),
                         [](const auto &info) {
                           return std::string(std::get<0>(info.param) ? "Half" : "Float") + "File" +
                                  std::to_string(std::get<1>(info.param)) + "Threads";
                         });

}  // namespace
}  // namespace livepeer
