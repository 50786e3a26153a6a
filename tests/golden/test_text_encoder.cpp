// The text encoder against recorded outputs of transformers' CLIPTextModel.
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "golden/golden_support.h"
#include "io/snapshot.h"
#include "nn/clip/clip_text_model.h"
#include "nn/output_observer.h"
#include "text/clip_tokenizer.h"
#include "weights/weight_source.h"

namespace livepeer {
namespace {

constexpr double tolerance = 1e-5;  // of the largest value, for float32 stages

/// (half-precision file, threads)
class TextEncoderGolden : public ::testing::TestWithParam<std::tuple<bool, int>> {
 protected:
  void SetUp() override { at::set_num_threads(std::get<1>(GetParam())); }
};

TEST_P(TextEncoderGolden, EveryStateAgrees) {
  const torch::NoGradGuard no_grad;
  const auto reference = golden_tensors("tensors/text_encoder.safetensors");
  const Snapshot snapshot(golden_path("tiny-upscaler"));
  const Component &component = snapshot.component("text_encoder");
  WeightSource weights(component.weight_files(std::get<0>(GetParam())));
  const CLIPTextModel model(component.config(), weights);
  weights.finish();
  EXPECT_EQ(weights.unused(), std::vector<std::string>{"text_model.embeddings.position_ids"});

  std::map<std::string, torch::Tensor> states;
  const auto text = [&] {
    const OutputObserver observer([&](const std::string &path, const torch::Tensor &output) {
      states[path] = output.clone();
    });
    return model.forward(reference.at("input_ids"));
  }();
  for (int i = 0; i <= 3; ++i) {
    const std::string path =
        i == 0 ? "text_model.embeddings" : "text_model.encoder.layers." + std::to_string(i - 1);
    expect_close(states.at(path).slice(0, 0, 1),
                 reference.at("row0.hidden_states." + std::to_string(i)), tolerance, path);
  }
  expect_close(text.hidden, reference.at("last_hidden_state"), tolerance, "last_hidden_state");
  expect_close(text.pooled, reference.at("pooler_output"), tolerance, "pooler_output");
}

TEST_P(TextEncoderGolden, TheTokenizerGivesTheRecordedIds) {
  const auto reference = golden_tensors("tensors/text_encoder.safetensors");
  const ClipTokenizer tokenizer(golden_path("tiny-upscaler/tokenizer"));
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
