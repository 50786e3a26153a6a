// CLIP's tokenizer against the ids that transformers gives.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "golden/golden_support.h"
#include "support/temporary_folder.h"
#include "text/clip_tokenizer.h"

namespace livepeer {
namespace {

namespace fs = std::filesystem;

class TokenizerGolden : public ::testing::Test {
 protected:
  void SetUp() override {
    cases_ = nlohmann::json::parse(test::read_file(golden_path("tokenizer_cases.json")));
    ASSERT_EQ(cases_["cases"].size(), 72u);
  }
  static fs::path folder() { return golden_path("tiny-upscaler/tokenizer"); }

  /// Every prompt must give the ids under `key`, padded with `pad`.
  void compare(const ClipTokenizer &tokenizer, const char *key, int64_t pad) {
    for (const auto &one : cases_["cases"]) {
      const auto text = one["text"].get<std::string>();
      auto expected = one[key].get<std::vector<int64_t>>();
      expected.resize(77, pad);
      const auto encoding = tokenizer.encode(text);
      EXPECT_EQ(encoding.ids, expected) << text;
      if (std::string(key) == "ids_pad_bang") {
        EXPECT_EQ(encoding.n_tokens, one["n_untruncated"].get<size_t>()) << text;
      }
    }
  }

  nlohmann::json cases_;
};

TEST_F(TokenizerGolden, AllPromptsAsTheUpscalerPads) {
  compare(ClipTokenizer(folder()), "ids_pad_bang", 0);
}

TEST_F(TokenizerGolden, AllPromptsPaddedByTheEndToken) {
  const test::TemporaryFolder own;
  for (const char *name : {"merges.txt", "tokenizer_config.json"})
    fs::copy(folder() / name, own / name);  // no special_tokens_map.json: the config's pad counts
  compare(ClipTokenizer(own.path()), "ids_pad_eos", 49407);
}

TEST_F(TokenizerGolden, LongPromptsAreCutAndDoNotTakeLong) {
  const ClipTokenizer tokenizer(folder());
  for (const char *unit : {"a", "cat ", "!", "\xe4\xb8\xad", "\xcc\x81", "'"}) {
    std::string text;
    while (text.size() < 50000) text += unit;
    const auto encoding = tokenizer.encode(text);
    EXPECT_EQ(encoding.ids.size(), 77u);
    EXPECT_GT(encoding.n_tokens, 77u);
    EXPECT_EQ(encoding.ids.front(), 49406);
    EXPECT_EQ(encoding.ids.back(), 49407);
  }
}

}  // namespace
}  // namespace livepeer
