// LoRA files: whose names are known, what they change, and what is said of those that do not fit.
#include <gtest/gtest.h>

#include "io/lora.h"
#include "io/lora_names.h"
#include "support/original_file.h"

namespace livepeer {
namespace {

using namespace test;

constexpr char layer[] = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q";
const std::string flat = flat_name(layer);

OriginalTensor numbers(const std::vector<int64_t> &shape, Dtype dtype = Dtype::f32) {
  uint64_t bytes = 0;
  tensor_bytes(dtype, shape, bytes);
  return {dtype, shape, std::string(size_t(bytes), '\0')};
}

class LoraFiles : public ::testing::Test {
 protected:
  std::string write(const OriginalTensors &tensors, const std::string &name = "a.safetensors") {
    write_safetensors(folder_ / name, tensors);
    return folder_ / name;
  }
  std::string error_of(const std::string &list, ErrorKind kind = ErrorKind::open_read) {
    try {
      open_loras(list, model_, false);
    } catch (const Error &error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      return error.what() + std::string("\n") + error.detail();
    }
    return "(no error)";
  }
  void expect_complaint(const OriginalTensors &tensors, const std::string &words) {
    const std::string said = error_of(write(tensors));
    EXPECT_NE(said.find(words), std::string::npos) << said;
  }
  /// The one layer of a file of these.
  LoraLayer layer_of(const OriginalTensors &tensors) {
    const LoraSet set = open_loras(write(tensors), model_, false);
    const LoraSet::Layers *layers = set.of("unet");
    EXPECT_TRUE(layers && layers->size() == 1 && layers->count(std::string(layer) + ".weight"));
    return layers->begin()->second.at(0);
  }

  const Snapshot model_{golden_path("tiny-upscaler")};
  const TemporaryFolder folder_;
};

/// A pair for the layer, which takes 16 numbers and gives 16.
OriginalTensors pair(const std::string &down, const std::string &up, int64_t rank = 2) {
  return {{down, numbers({rank, 16})}, {up, numbers({16, rank})}};
}

TEST_F(LoraFiles, NamesOfAllKindsAreKnown) {
  const std::string dotted = layer;
  const std::string block = dotted.substr(0, dotted.rfind('.'));
  for (const auto &[down, up] : std::vector<std::pair<std::string, std::string>>{
           {"unet." + dotted + ".lora_A.weight", "unet." + dotted + ".lora_B.weight"},
           {dotted + ".lora_A.weight", dotted + ".lora_B.weight"},
           {"base_model.model." + dotted + ".lora_A.weight",
            "base_model.model." + dotted + ".lora_B.weight"},
           {"unet." + dotted + ".lora_A.default.weight",
            "unet." + dotted + ".lora_B.default.weight"},
           {"unet." + dotted + ".lora.down.weight", "unet." + dotted + ".lora.up.weight"},
           {block + ".processor.to_q_lora.down.weight", block + ".processor.to_q_lora.up.weight"},
           {"lora_unet_" + flat + ".lora_down.weight", "lora_unet_" + flat + ".lora_up.weight"}}) {
    const LoraLayer found = layer_of(pair(down, up, 3));
    EXPECT_EQ(found.rank(), 3) << down;
    EXPECT_FALSE(found.alpha || found.magnitude || found.mid);
    EXPECT_EQ(found.given_alpha, 3);
  }
}

TEST_F(LoraFiles, WithoutAlphasTheFirstRankIsAll) {
  const auto rank_of = [](const std::string &name, int64_t rank) {
    return pair("unet.mid_block.attentions.0.transformer_blocks.0.attn1." + name + ".lora_A.weight",
                "unet.mid_block.attentions.0.transformer_blocks.0.attn1." + name + ".lora_B.weight",
                rank);
  };
  OriginalTensors tensors;
  for (OriginalTensors more : {rank_of("to_k", 4), rank_of("to_q", 2)})
    for (auto &[name, tensor] : more) {
      tensor.shape[name.find("lora_A") != std::string::npos ? 1 : 0] = 24;
      tensors[name] = numbers(tensor.shape);
    }
  const LoraSet set = open_loras(write(tensors), model_, false);
  for (const auto &[name, layers] : *set.of("unet")) EXPECT_EQ(layers.at(0).given_alpha, 4) << name;
}

TEST_F(LoraFiles, OldNamesOfLayersBecomeTodays) {
  const auto now = [](const std::string &name) { return names_of_layer(name).back(); };
  EXPECT_EQ(now("x_attn1_processor_to_out"), "x_attn1_to_out_0");
  EXPECT_EQ(now("x_attn2_processor_to_k"), "x_attn2_to_k");
  EXPECT_EQ(now("layers_0_self_attn_to_out"), "layers_0_self_attn_out_proj");
  EXPECT_EQ(now("layers_0_self_attn_to_v"), "layers_0_self_attn_v_proj");
  EXPECT_EQ(now("layers_0_mlp_fc1"), "layers_0_mlp_fc1");
}

TEST_F(LoraFiles, PartsFindTheirPlaces) {
  OriginalTensors tensors =
      pair("lora_unet_" + flat + ".lora_down.weight", "lora_unet_" + flat + ".lora_up.weight");
  tensors["lora_unet_" + flat + ".alpha"] = numbers({});
  tensors["lora_unet_" + flat + ".dora_scale"] = numbers({1, 16});
  LoraLayer found = layer_of(tensors);
  EXPECT_TRUE(found.alpha && found.magnitude && found.by_column);
  tensors["lora_unet_" + flat + ".dora_scale"] = numbers({16, 1});
  EXPECT_FALSE(layer_of(tensors).by_column);
  tensors.erase("lora_unet_" + flat + ".dora_scale");
  tensors["unet." + std::string(layer) + ".lora_magnitude_vector"] = numbers({1, 16});
  EXPECT_FALSE(layer_of(tensors).by_column) << "PEFT's is always that of rows";
}

TEST_F(LoraFiles, ConvolutionsMayHaveAMiddle) {
  const std::string stem = "lora_unet_down_blocks_0_resnets_0_conv1.";
  OriginalTensors tensors{{stem + "lora_down.weight", numbers({2, 8, 1, 1})},
                          {stem + "lora_mid.weight", numbers({2, 2, 3, 3})},
                          {stem + "lora_up.weight", numbers({8, 2, 1, 1})}};
  const LoraSet set = open_loras(write(tensors), model_, false);
  EXPECT_TRUE(set.of("unet")->at("down_blocks.0.resnets.0.conv1.weight").at(0).mid);
  tensors[stem + "lora_mid.weight"] = numbers({2, 3, 3, 3});
  expect_complaint(tensors, "do not make the model's");
  tensors[stem + "lora_mid.weight"] = numbers({2, 2, 1, 1});
  expect_complaint(tensors, "do not make the model's");
}

TEST_F(LoraFiles, ConfigurationsTellAlphas) {
  const std::string stem = "base_model.model." + std::string(layer);
  write(pair(stem + ".lora_A.weight", stem + ".lora_B.weight"), "adapter_model.safetensors");
  const auto read = [&](const std::string &json) {
    write_file(folder_ / "adapter_config.json", json);
    const LoraSet set = open_loras(folder_.path(), model_, false);
    return set.of("unet")->begin()->second.at(0);
  };
  EXPECT_EQ(read(R"({"lora_alpha": 6, "r": 2})").given_alpha, 6);
  EXPECT_EQ(read(R"({"lora_alpha": 6, "alpha_pattern": {"attn1.to_q": 9}})").given_alpha, 9);
  EXPECT_EQ(read(R"({"lora_alpha": 6, "alpha_pattern": {"n1.to_q": 9}})").given_alpha, 6);
  EXPECT_TRUE(read(R"({"lora_alpha": 6, "use_rslora": true})").root_of_rank);
  write_file(folder_ / "adapter_config.json", R"({"lora_alpha": "much"})");
  EXPECT_NE(error_of(folder_.path()).find("\"lora_alpha\" must hold numbers"), std::string::npos);
  write_file(folder_ / "adapter_config.json", "{");
  EXPECT_NE(error_of(folder_.path()).find("LoRA configuration"), std::string::npos);
}

TEST_F(LoraFiles, MetadataTellAlphas) {
  const std::string stem = "unet." + std::string(layer);
  const auto read = [&](const std::string &json) {
    const std::string path = folder_ / "a.safetensors";
    SafetensorsWriter writer(path,
                             {{stem + ".lora_A.weight", Dtype::f32, {2, 16}},
                              {stem + ".lora_B.weight", Dtype::f32, {16, 2}}},
                             {{"lora_adapter_metadata", json}});
    writer.append(std::string(256, '\0').data(), 256);
    writer.finish();
    return path;
  };
  const LoraSet set =
      open_loras(read(R"({"unet.lora_alpha": 4, "text_encoder.lora_alpha": 5, "lora_alpha": 6})"),
                 model_, false);
  EXPECT_EQ(set.of("unet")->begin()->second.at(0).given_alpha, 4);
  EXPECT_NE(error_of(read("[1")).find("metadata"), std::string::npos);
}

TEST_F(LoraFiles, IdentitiesTellSetsApart) {
  const std::string down = "unet." + std::string(layer) + ".lora_A.weight";
  const std::string up = "unet." + std::string(layer) + ".lora_B.weight";
  const std::string a = write(pair(down, up)), b = write(pair(down, up), "b.safetensors");
  const auto identity = [&](const std::string &list) {
    return open_loras(list, model_, false).identity;
  };
  EXPECT_EQ(identity(""), "");
  EXPECT_EQ(identity(a), identity("'" + a + "'@1.0"));
  EXPECT_EQ(identity(a), identity(folder_.path().string() + "/./a.safetensors"));
  EXPECT_NE(identity(a), identity(a + "@0.5"));
  EXPECT_NE(identity(a), identity(b));
  EXPECT_NE(identity(a), identity(a + " " + b));
  const std::string before = identity(a);
  write(pair(down, up, 3));
  EXPECT_NE(identity(a), before);
}

TEST_F(LoraFiles, EverythingThatFitsNothingIsListedInOneError) {
  OriginalTensors tensors = pair("unet." + std::string(layer) + ".lora_A.weight",
                                 "unet." + std::string(layer) + ".lora_B.weight");
  tensors["unet.down_blocks.7.attn1.to_q.lora_A.weight"] = numbers({2, 16});
  tensors["unet.down_blocks.7.attn1.to_q.lora_B.weight"] = numbers({16, 2});
  tensors["text_encoder_2.x.lora_A.weight"] = numbers({2, 2});
  tensors["strange"] = numbers({1});
  const std::string a = write(tensors);
  OriginalTensors other =
      pair("lora_te_nothing.lora_down.weight", "lora_te_nothing.lora_up.weight");
  const std::string said = error_of(a + " " + write(other, "b.safetensors"));
  for (const char *name : {"unet down_blocks_7_attn1_to_q", "text_encoder_2.x.lora_A.weight",
                           "strange", "b.safetensors: text_encoder nothing"})
    EXPECT_NE(said.find(name), std::string::npos) << name << "\n" << said;
  EXPECT_EQ(said.find(flat), std::string::npos) << said;
}

TEST_F(LoraFiles, ShapesThatDoNotFitAreTold) {
  const std::string stem = "unet." + std::string(layer);
  const std::string down = stem + ".lora_A.weight", up = stem + ".lora_B.weight";
  expect_complaint({{down, numbers({2, 16})}}, "lacks its other half");
  expect_complaint({{up, numbers({16, 2})}}, "lacks its other half");
  expect_complaint({{down, numbers({2, 16})}, {up, numbers({16, 3})}}, "different ranks, 2 and 3");
  expect_complaint({{down, numbers({2, 17})}, {up, numbers({16, 2})}}, "do not make the model's");
  expect_complaint({{down, numbers({2, 16})}, {up, numbers({32, 2})}}, "do not make the model's");
  expect_complaint({{down, numbers({2, 16, 3, 3})}, {up, numbers({16, 2, 1, 1})}},
                   "do not make the model's");
  expect_complaint({{down, numbers({32})}, {up, numbers({16, 2})}}, "no matrices");
  expect_complaint({{down, numbers({0, 16})}, {up, numbers({16, 0})}}, "no matrices");
  expect_complaint({{down, numbers({2, 16}, Dtype::i32)}, {up, numbers({16, 2})}}, "type I32");
  OriginalTensors tensors = pair(down, up);
  tensors[stem + ".lora_magnitude_vector"] = numbers({15});
  expect_complaint(tensors, "a magnitude of shape [15]");
  tensors = pair(down, up);
  tensors[stem + ".alpha"] = numbers({2});
  expect_complaint(tensors, "an alpha that is no number");
}

TEST_F(LoraFiles, WhatIsNoLoraIsSaid) {
  EXPECT_NE(error_of(golden_path("tiny-upscaler/unet/diffusion_pytorch_model.safetensors"))
                .find("a network of a model"),
            std::string::npos);
  expect_complaint({{"x.hada_w1_a", numbers({1})}}, "a LoHa");
  expect_complaint({{"x.lokr_w1", numbers({1})}}, "a LoKr");
  expect_complaint({{"emb_params", numbers({1, 12})}}, "property embeddings");
  expect_complaint({{"model.diffusion_model.x", numbers({1})}}, "property model");
  expect_complaint({{"anything", numbers({1})}}, "none of its 1 tensors");
  expect_complaint({}, "none of its 0 tensors");
}

TEST_F(LoraFiles, FilesThatAreNotThereOrDamagedAreErrors) {
  error_of(folder_ / "none.safetensors", ErrorKind::not_found);
  error_of(folder_.path(), ErrorKind::not_found);  // a folder without one
  const auto said_of = [&](const std::string &bytes) {
    write_file(folder_ / "x.safetensors", bytes);
    return error_of(folder_ / "x.safetensors");
  };
  EXPECT_NE(
      said_of("version https://git-lfs.github.com/spec/v1\noid sha256:0\n").find("git lfs pull"),
      std::string::npos);
  EXPECT_NE(said_of("<!DOCTYPE html>").find("web page"), std::string::npos);
  EXPECT_NE(said_of("").find("empty"), std::string::npos);
  const std::string whole = read_file(write(pair("unet." + std::string(layer) + ".lora_A.weight",
                                                 "unet." + std::string(layer) + ".lora_B.weight")));
  for (size_t length = 1; length < whole.size(); length += 7)
    EXPECT_NE(said_of(whole.substr(0, length)), "(no error)\n") << length;
  error_of("a@b", ErrorKind::settings);
}

TEST_F(LoraFiles, PicklesAreTaken) {
  const OriginalTensors tensors = pair("unet." + std::string(layer) + ".lora.down.weight",
                                       "unet." + std::string(layer) + ".lora.up.weight");
  write_file(folder_ / "pytorch_lora_weights.bin", checkpoint_of(tensors));
  const LoraSet set = open_loras(folder_.path(), model_, false);
  EXPECT_EQ(set.of("unet")->size(), 1U);
  EXPECT_EQ(set.of("text_encoder"), nullptr);
}

TEST_F(LoraFiles, EmbeddedModelsTakeNone) {
  const Snapshot embedded(SOURCE_ROOT "/models/default");
  try {
    open_loras("a.safetensors", embedded, false);
    FAIL() << "no error";
  } catch (const Error &error) {
    EXPECT_EQ(error.kind(), ErrorKind::settings);
    EXPECT_NE(std::string(error.what()).find("takes no LoRA"), std::string::npos) << error.what();
  }
  EXPECT_EQ(open_loras("", embedded, false).identity, "");
}

}  // namespace
}  // namespace livepeer
