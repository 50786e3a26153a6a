// Textual inversions in every layout, and what diffusers made of prompts with them; added tokens.
#include <torch/types.h>
#include <torch/utils.h>

#include <filesystem>

#include "diffusion/registry.h"
#include "golden/golden_support.h"
#include "io/textual_inversion.h"
#include "support/temporary_folder.h"
#include "text/clip_tokenizer.h"

namespace livepeer {
namespace {

namespace fs = std::filesystem;

TEST(InversionGoldens, inversions) {
  const torch::NoGradGuard no_grad;
  const nlohmann::json entry = golden_case("inversions");
  const auto expected = golden_tensors(entry.at("file"));
  const Snapshot snapshot(golden_path("tiny-upscaler"));
  const int64_t width = snapshot.component("text_encoder").config().require<int64_t>("hidden_size");
  const auto encoder_with = [&](const std::string &list) {
    return load_prompt_encoder(snapshot.component("tokenizer"), snapshot.component("text_encoder"),
                               WeightOptions(), open_textual_inversions(list, width));
  };
  std::string list;
  for (const char *name : {"learned_embeds.safetensors", "stripe.bin", "wool.pt"})
    list += "'" + golden_path(std::string("inversions/") + name) + "' ";
  const auto one_by_one = encoder_with(list + golden_path("inversions/plaid.safetensors"));
  const auto by_folder = encoder_with(golden_path("inversions"));
  size_t i = 0;
  for (const auto &prompt : entry.at("prompts")) {
    const std::string text = prompt.at("text");
    for (const auto *encoder : {&one_by_one, &by_folder})
      expect_close(encoder->encode(text).hidden.slice(1, 0, 16),
                   expected.at(std::to_string(i) + ".hidden"), 1e-5, text);
    // Cut at the same place as in diffusers.
    const auto ids = prompt.at("ids").get<std::vector<int64_t>>();
    const auto pads = std::count(ids.begin(), ids.end(), 0);
    EXPECT_EQ(one_by_one.measure(text).taken, ids.size() - size_t(pads) - 2) << text;
    ++i;
  }
  EXPECT_EQ(i, 5U);
}

TEST(InversionGoldens, added_tokens) {
  const nlohmann::json golden =
      read_json(golden_path(golden_case("added_tokens").at("file")), "Case list", 1 << 20);
  const test::TemporaryFolder folder;
  for (const auto &file : fs::directory_iterator(golden_path("tiny-upscaler/tokenizer")))
    fs::copy(file, folder.path());
  test::write_file(folder / "added_tokens.json", golden.at("added_tokens").dump());
  const ClipTokenizer tokenizer(folder.path());
  EXPECT_EQ(tokenizer.largest_id(), 49410);
  for (const auto &prompt : golden.at("cases")) {
    auto expected = prompt.at("ids").get<std::vector<int64_t>>();
    expected = {expected.begin() + 1, expected.end() - 1};
    EXPECT_EQ(tokenizer.tokenize(prompt.at("text")), expected) << prompt.at("text");
  }
}

}  // namespace
}  // namespace livepeer
