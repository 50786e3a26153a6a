// The tokenizer on a vocabulary of our own, and on damaged ones.
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "runtime/error.h"
#include "support/temporary_folder.h"
#include "text/clip_tokenizer.h"
#include "text/unicode.h"

namespace livepeer {
namespace {

namespace fs = std::filesystem;
using test::TemporaryFolder;
using test::write_file;
using Ids = std::vector<int64_t>;

/// A vocabulary of the letters a-d: bytes 0-3, with the end of word 4-7, merges from 8 on.
void write_tokenizer(const fs::path &folder) {
  write_file(folder / "vocab.json",
             R"({"a":0,"b":1,"c":2,"d":3,"a</w>":4,"b</w>":5,"c</w>":6,"d</w>":7,"ab":8,"abc</w>":9,
                 "aa":10,"cd</w>":11,"<|startoftext|>":12,"<|endoftext|>":13,"!":14})");
  write_file(folder / "merges.txt", "#version: 0.2\na b\nab c</w>\na a\nc d</w>\nd d\n");
  write_file(folder / "tokenizer_config.json", R"({"model_max_length": 6, "pad_token": "!"})");
}

TEST(Tokenizer, MergesByRankThenFromTheLeft) {
  const TemporaryFolder folder;
  write_tokenizer(folder.path());
  const ClipTokenizer tokenizer(folder.path());
  EXPECT_EQ(tokenizer.tokenize("abc"), Ids{9});
  EXPECT_EQ(tokenizer.tokenize("ab"), (Ids{0, 5}));        // "b</w>" is not "b"
  EXPECT_EQ(tokenizer.tokenize("aaab"), (Ids{10, 0, 5}));  // leftmost pair first
  EXPECT_EQ(tokenizer.tokenize("aabc"), (Ids{0, 9}));      // "a b" ranks before "a a"
  EXPECT_EQ(tokenizer.tokenize("abcd"), (Ids{8, 11}));
  EXPECT_EQ(tokenizer.tokenize("A  B\tC"), (Ids{4, 5, 6}));
  EXPECT_EQ(tokenizer.tokenize("x"), Ids{13});         // not in the vocabulary: the unknown token
  EXPECT_EQ(tokenizer.tokenize("dda"), (Ids{13, 4}));  // merged into what has no id
  EXPECT_EQ(tokenizer.largest_id(), 14);
}

TEST(Tokenizer, PadsAndCuts) {
  const TemporaryFolder folder;
  write_tokenizer(folder.path());
  const ClipTokenizer tokenizer(folder.path());
  EXPECT_EQ(tokenizer.encode("").ids, (Ids{12, 13, 14, 14, 14, 14}));
  EXPECT_EQ(tokenizer.encode("a!b").ids, (Ids{12, 4, 14, 5, 13, 14}));
  const auto cut = tokenizer.encode("a b c d a");
  EXPECT_EQ(cut.ids, (Ids{12, 4, 5, 6, 7, 13}));
  EXPECT_EQ(cut.n_tokens, 7u);
}

TEST(Tokenizer, AnyBytesAreTaken) {
  const TemporaryFolder folder;
  write_tokenizer(folder.path());
  const ClipTokenizer tokenizer(folder.path());
  EXPECT_EQ(tokenizer.tokenize("a\xff\xfe b\xc3"), (Ids{4, 5}));
  EXPECT_EQ(tokenizer.tokenize(std::string("a\0b", 3)), (Ids{0, 5}));
  EXPECT_EQ(tokenizer.tokenize("\xed\xa0\x80\xf4\x90\x80\x80\xc0\xaf"), Ids{});
  uint32_t state = 7;
  for (int round = 0; round < 200; ++round) {
    std::string text(size_t(round * 10), '\0');
    for (char &c : text) c = char((state = state * 1664525 + 1013904223) >> 24);
    EXPECT_EQ(tokenizer.encode(text).ids.size(), 6u);
  }
  EXPECT_EQ(tokenizer.encode(std::string(10000, 'a')).ids.size(), 6u);
}

TEST(Unicode, FollowsBasicTokenizer) {
  EXPECT_EQ(clean_text("  Two\u00a0Words\u2028here  "), "two words here");
  EXPECT_EQ(clean_text("soft\u00adhyphen zero\u200bwidth \ufffd"), "softhyphen zerowidth");
  EXPECT_EQ(clean_text("a\u4e2db"), "a \u4e2d b");
  EXPECT_EQ(clean_text("e\u0301"), "\u00e9");
  EXPECT_EQ(clean_text("\u0130"), "i\u0307");
  EXPECT_EQ(clean_text("\u039f\u0394\u039f\u03a3 \u03a3\u0391 \u03a3"),
            "\u03bf\u03b4\u03bf\u03c2 \u03c3\u03b1 \u03c3");
  EXPECT_EQ(split_words("it's 42 <|endoftext|>?!"),
            (std::vector<std::string>{"it", "'s", "4", "2", "<|endoftext|>", "?!"}));
}

struct Damage {
  const char *name, *file, *text, *expected;
};
class BadTokenizer : public ::testing::TestWithParam<Damage> {};

TEST_P(BadTokenizer, IsRefused) {
  const TemporaryFolder folder;
  write_tokenizer(folder.path());
  const Damage &damage = GetParam();
  if (damage.text)
    write_file(folder / damage.file, damage.text);
  else
    fs::remove(folder / damage.file);
  try {
    ClipTokenizer tokenizer(folder.path());
    ADD_FAILURE() << "no error";
  } catch (const Error &error) {
    const std::string message = error.what();
    EXPECT_NE(message.find(damage.expected), std::string::npos) << message;
    EXPECT_NE(message.find(folder.path().string()), std::string::npos) << message;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadTokenizer,
    ::testing::Values(
        Damage{"NoVocabulary", "vocab.json", nullptr, "does not exist"},
        Damage{"VocabularyIsList", "vocab.json", "[]", "not a JSON object"},
        Damage{"VocabularyCut", "vocab.json", "{\"a\":0,", "not a JSON object"},
        Damage{"VocabularyOfText", "vocab.json", R"({"a":"0"})", "id that is not a number"},
        Damage{"VocabularyNegative", "vocab.json", R"({"a":-1})", "id that is not a number"},
        Damage{"VocabularyHuge", "vocab.json", R"({"a":99999999999})", "id that is not a number"},
        Damage{"NoSpecialTokens", "vocab.json", R"({"a":0})", "lacks the special token"},
        Damage{"NoMerges", "merges.txt", nullptr, "does not exist"},
        Damage{"MergesEmpty", "merges.txt", "", "is empty"},
        Damage{"MergesOneSymbol", "merges.txt", "#version\nab\n", "in line 2"},
        Damage{"MergesThreeSymbols", "merges.txt", "#version\na b\na b c\n", "in line 3"},
        Damage{"NoConfig", "tokenizer_config.json", nullptr, "does not exist"},
        Damage{"ConfigPadIsNumber", "tokenizer_config.json", R"({"pad_token": 3})", "pad_token"},
        Damage{"ConfigPadUnknown", "tokenizer_config.json", R"({"pad_token": "<pad>"})", "<pad>"},
        Damage{"ConfigNoRoom", "tokenizer_config.json", R"({"model_max_length": 1})", "no room"},
        Damage{"ConfigLengthText", "tokenizer_config.json", R"({"model_max_length": "77"})",
               "model_max_length"},
        Damage{"MapDamaged", "special_tokens_map.json", "{", "not a JSON object"}),
    [](const auto &info) { return info.param.name; });

}  // namespace
}  // namespace livepeer
