// Files of textual inversions, and tokens that are added to a tokenizer.
#include "io/textual_inversion.h"

#include <gtest/gtest.h>

#include "support/original_file.h"
#include "text/clip_tokenizer.h"

namespace livepeer {
namespace {

namespace fs = std::filesystem;
using namespace test;

constexpr int64_t width = 12;

OriginalTensor numbers(const std::vector<int64_t> &shape, Dtype dtype = Dtype::f32) {
  uint64_t bytes = 0;
  tensor_bytes(dtype, shape, bytes);
  return {dtype, shape, std::string(size_t(bytes), '\0')};
}

class Inversions : public ::testing::Test {
 protected:
  std::string write(const OriginalTensors &tensors, const std::string &name = "a.safetensors") {
    write_safetensors(folder_ / name, tensors);
    return folder_ / name;
  }
  /// "token:vectors" of each.
  static std::string read(const std::string &list) {
    std::string all;
    for (const TextualInversion &inversion : open_textual_inversions(list, width).all)
      all += inversion.token + ":" + std::to_string(inversion.vectors()) + " ";
    return all;
  }
  static std::string error_of(const std::string &list, ErrorKind kind = ErrorKind::open_read) {
    try {
      open_textual_inversions(list, width);
    } catch (const Error &error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      return error.what();
    }
    return "(no error)";
  }
  void expect_complaint(const OriginalTensors &tensors, const std::string &words) {
    const std::string said = error_of(write(tensors));
    EXPECT_NE(said.find(words), std::string::npos) << said;
  }
  const TemporaryFolder folder_;
};

TEST_F(Inversions, AllLayoutsAreKnown) {
  EXPECT_EQ(read(""), "");
  EXPECT_EQ(read(golden_path("inversions/learned_embeds.safetensors")), "<dot>:1 ");
  EXPECT_EQ(read(golden_path("inversions/stripe.bin")), "<stripe>:3 ");
  EXPECT_EQ(read(golden_path("inversions/wool.pt")), "wool-art:2 ");
  EXPECT_EQ(read(golden_path("inversions/plaid.safetensors")), "plaid:2 ");
  EXPECT_EQ(read(golden_path("inversions")), "<dot>:1 plaid:2 <stripe>:3 wool-art:2 ");
}

TEST_F(Inversions, AFolderLeavesOutWhatDoesNotFit) {
  write({{"<a>", numbers({1, width})}});
  write({{"<b>", numbers({1, 768})}}, "b.safetensors");
  write_file(folder_ / "c.pt", "junk");
  write_file(folder_ / "readme.txt", "about");
  EXPECT_EQ(read("'" + folder_.path().string() + "'"), "<a>:1 ");
  fs::remove(folder_ / "a.safetensors");
  EXPECT_NE(error_of(folder_.path(), ErrorKind::not_found).find("holds no embedding"),
            std::string::npos);
}

TEST_F(Inversions, IdentitiesTellSetsApart) {
  const auto identity = [](const std::string &list) {
    return open_textual_inversions(list, width).identity;
  };
  const std::string dot = golden_path("inversions/learned_embeds.safetensors");
  const std::string stripe = golden_path("inversions/stripe.bin");
  EXPECT_EQ(identity(""), "");
  EXPECT_NE(identity(dot), identity(stripe));
  EXPECT_NE(identity(dot), identity(dot + " " + stripe));
}

TEST_F(Inversions, WhatDoesNotFitIsAnError) {
  expect_complaint({{"<a>", numbers({2, 768})}},
                   "768 numbers, and the model's text encoder takes 12");
  expect_complaint({{"<a>", numbers({1, 1, width})}}, "no textual inversion");
  expect_complaint({{"<a>", numbers({0, width})}}, "no textual inversion");
  expect_complaint({{"<a>", numbers({})}}, "no textual inversion");
  expect_complaint({{"<a>", numbers({width}, Dtype::i32)}}, "type I32");
  expect_complaint({{"<a>", numbers({width})}, {"<b>", numbers({width})}}, "holds 2 tensors");
  expect_complaint({{"clip_g", numbers({2, 1280})}, {"clip_l", numbers({2, 768})}}, "SDXL");
  expect_complaint({}, "holds 0 tensors");
  expect_complaint({{"", numbers({width})}}, "0 characters");
  expect_complaint({{std::string(300, 'a'), numbers({width})}}, "300 characters");
  error_of(folder_ / "none.pt", ErrorKind::not_found);
  write_file(folder_ / "x.pt", "version https://git-lfs.github.com/spec/v1\n");
  EXPECT_NE(error_of(folder_ / "x.pt").find("git lfs pull"), std::string::npos);
  const std::string dot = golden_path("inversions/learned_embeds.safetensors");
  EXPECT_NE(error_of(dot + " " + dot).find("as another of the embeddings has"), std::string::npos);
  // As the first implementation saved them: in an object of torch.
  write_file(
      folder_ / "old.pt",
      torch_archive(
          pickled::dict({{"string_to_param",
                          pickled::call(pickled::global("torch.nn", "ParameterDict"), ")")}}),
          {}));
  EXPECT_NE(error_of(folder_ / "old.pt").find("ParameterDict"), std::string::npos);
}

class AddedTokens : public ::testing::Test {
 protected:
  AddedTokens() {
    for (const auto &file : fs::directory_iterator(golden_path("tiny-upscaler/tokenizer")))
      fs::copy(file, folder_.path());
  }
  ClipTokenizer with(const std::string &json) {
    write_file(folder_ / "added_tokens.json", json);
    return ClipTokenizer(folder_.path());
  }
  std::string error_of(const std::string &json) {
    try {
      with(json);
    } catch (const Error &error) {
      EXPECT_EQ(error.kind(), ErrorKind::open_read);
      return error.what();
    }
    return "(no error)";
  }
  const TemporaryFolder folder_;
};

TEST_F(AddedTokens, AreCutOutOfTexts) {
  const ClipTokenizer tokenizer = with(R"({"<x>": 49408})");
  EXPECT_EQ(tokenizer.largest_id(), 49408);
  EXPECT_EQ(tokenizer.tokenize("a<x>cat"), (std::vector<int64_t>{320, 49408, 2368}));
}

TEST_F(AddedTokens, OfTheConfigurationComeFirst) {
  nlohmann::json config = read_json(folder_ / "tokenizer_config.json", "", 1 << 20);
  config["added_tokens_decoder"] = {{"49410", {{"content", "<y>"}}}};
  fs::remove(folder_ / "tokenizer_config.json");
  write_file(folder_ / "tokenizer_config.json", config.dump());
  const ClipTokenizer tokenizer = with(R"({"<x>": 49408})");
  EXPECT_EQ(tokenizer.tokenize("<y>"), std::vector<int64_t>{49410});
  EXPECT_GT(tokenizer.tokenize("<x>").size(), 1U);
  for (const char *damage : {R"([1])", R"({"x": {"content": "a"}})", R"({"1": {}})",
                             R"({"1": {"content": ""}})", R"({"99999999999": {"content": "a"}})"}) {
    config["added_tokens_decoder"] = nlohmann::json::parse(damage);
    write_file(folder_ / "tokenizer_config.json", config.dump());
    EXPECT_NE(error_of("{}").find("tokenizer_config.json"), std::string::npos) << damage;
  }
}

TEST_F(AddedTokens, DamageIsAnError) {
  for (const char *json : {R"({"<x>": -1})", R"({"<x>": "1"})", R"({"<x>": 1.5})", R"({"": 1})",
                           R"({"<x>": 4294967296})", "[]", "{"})
    EXPECT_NE(error_of(json).find("added_tokens.json"), std::string::npos) << json;
}

TEST_F(AddedTokens, OfEmbeddingsMustBeNew) {
  ClipTokenizer tokenizer = with(R"({"<x>": 49408})");
  tokenizer.add_token("<new>", {49409, 49410});
  EXPECT_EQ(tokenizer.largest_id(), 49410);
  EXPECT_EQ(tokenizer.tokenize("a <new>"), (std::vector<int64_t>{320, 49409, 49410}));
  for (const char *token : {"<x>", "<new>", "cat</w>", "<|endoftext|>"})
    EXPECT_THROW(tokenizer.add_token(token, {49411}), Error) << token;
}

}  // namespace
}  // namespace livepeer
