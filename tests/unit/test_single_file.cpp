// All weights of a model in one file, under the names of the code that it was trained with.
#include <gtest/gtest.h>
#include <stdlib.h>

#include "io/model_lookup.h"
#include "io/original_names.h"
#include "support/original_file.h"

namespace livepeer {
namespace {

namespace fs = std::filesystem;
using namespace test;

std::string error_of(const std::string &path) {
  try {
    Snapshot{find_model(path)};
  } catch (const Error &error) {
    EXPECT_EQ(error.kind(), ErrorKind::open_read);
    return error.what();
  }
  return "(no error)";
}

class SingleFile : public ::testing::Test {
 protected:
  SingleFile() { setenv("LIVEPEER_UPSCALE_MODELS", SOURCE_ROOT "/models", 1); }
  ~SingleFile() override { unsetenv("LIVEPEER_UPSCALE_MODELS"); }
  /// What is said of a file that holds one number under each name.
  std::string error_of_names(const std::vector<std::string> &names,
                             const std::vector<int64_t> &shape = {1}) {
    OriginalTensors tensors;
    for (const std::string &name : names) {
      uint64_t bytes = 0;
      tensor_bytes(Dtype::f32, shape, bytes);
      tensors[name] = {Dtype::f32, shape, std::string(size_t(bytes), '\0')};
    }
    write_safetensors(folder_ / "x.safetensors", tensors);
    return error_of(folder_ / "x.safetensors");
  }
  TemporaryFolder folder_;
};

/// [n, m, 1, 1] is [n, m].
std::vector<int64_t> without_kernel(std::vector<int64_t> shape) {
  if (shape.size() == 4 && shape[2] == 1 && shape[3] == 1) shape.resize(2);
  return shape;
}

TEST_F(SingleFile, HoldsTheTensorsOfTheSnapshotBitForBit) {
  const Snapshot snapshot(golden_path("tiny-upscaler"));
  copy_configurations(folder_.path());
  for (const bool half : {false, true}) {
    write_safetensors(folder_ / "one.safetensors", original_tensors(half));
    write_file(folder_ / "one.ckpt", checkpoint_of(original_tensors(half)));
    for (const char *name : {"one.safetensors", "one.ckpt"}) {
      const Snapshot one(find_model(folder_ / name));
      EXPECT_EQ(one.path(), folder_ / name);
      for (const char *component : {"unet", "vae", "text_encoder"}) {
        auto expected = tensors_of(snapshot.component(component), half);
        expected.erase("text_model.embeddings.position_ids");
        const auto found = tensors_of(one.component(component), false);
        for (const auto &[tensor, value] : expected) {
          ASSERT_TRUE(found.count(tensor)) << tensor;
          EXPECT_EQ(found.at(tensor).dtype, value.dtype) << tensor;
          EXPECT_EQ(without_kernel(found.at(tensor).shape), without_kernel(value.shape)) << tensor;
          EXPECT_TRUE(found.at(tensor).bytes == value.bytes) << tensor;
        }
        // Beyond those only the text encoder's last layer, as far as the file holds it.
        for (const auto &[tensor, value] : found)
          EXPECT_TRUE(expected.count(tensor) ||
                      tensor.find(".layers.3.self_attn.") != std::string::npos)
              << tensor;
      }
    }
  }
}

TEST_F(SingleFile, HasBuiltInConfigurationsWhereNoneLieBeside) {
  write_safetensors(folder_ / "x4-upscaler-ema.safetensors", original_tensors());
  const Snapshot snapshot(folder_ / "x4-upscaler-ema.safetensors");
  EXPECT_EQ(snapshot.index().class_name(), "StableDiffusionUpscalePipeline");
  EXPECT_EQ(snapshot.component("unet").config().require<std::vector<int>>("block_out_channels"),
            (std::vector<int>{256, 512, 512, 1024}));
  EXPECT_EQ(snapshot.component("text_encoder").config().require<int>("num_hidden_layers"), 23);
  EXPECT_TRUE(fs::exists(snapshot.component("tokenizer").file("merges.txt")));
  EXPECT_EQ(model_id_of(snapshot.path()), "x4-upscaler-ema");
  EXPECT_NO_THROW(snapshot.check_weights(false));
}

TEST_F(SingleFile, FingerprintFollowsFileAndConfigurations) {
  copy_configurations(folder_.path());
  const fs::path path = folder_ / "one.safetensors", config = folder_ / "vae/config.json";
  write_safetensors(path, original_tensors());
  const auto now = [&] { return Snapshot(path).fingerprint(); };
  const std::string first = now();
  EXPECT_EQ(now(), first);
  fs::last_write_time(path, fs::last_write_time(path) + std::chrono::seconds(1));
  const std::string second = now();
  EXPECT_NE(second, first);
  write_file(config, read_file(config) + "\n");
  EXPECT_NE(now(), second);
}

TEST_F(SingleFile, WhatIsNoTensorIsToldUnderTheSnapshotsName) {
  const std::string attention = "transformer.resblocks.0.attn.in_proj_";
  OriginalTensors tensors = original_tensors();
  tensors.at("cond_stage_model.model." + attention + "bias").shape = {4, 9};
  write_safetensors(folder_ / "one.safetensors", tensors);
  copy_configurations(folder_.path());
  const Snapshot snapshot(folder_ / "one.safetensors");
  const auto file = snapshot.component("text_encoder").open_weights(false).front();
  for (const char *part : {"q", "k", "v"})
    EXPECT_EQ(file->unfit().count("text_model.encoder.layers.0.self_attn." + std::string(part) +
                                  "_proj.bias"),
              1U);
}

TEST_F(SingleFile, ConfigurationsThatCountNothingAreRefused) {
  copy_configurations(folder_.path());
  write_safetensors(folder_ / "one.safetensors", original_tensors());
  for (const char *layers : {"-1", "0", "1001", "9223372036854775807"}) {
    write_file(folder_ / "unet/config.json",
               std::string(R"({"layers_per_block": )") + layers + "}");
    EXPECT_NE(error_of(folder_ / "one.safetensors").find("layers_per_block"), std::string::npos);
  }
}

TEST_F(SingleFile, NumbersOfAnySizeAreTaken) {
  OriginalTensors tensors = original_tensors();
  for (const char *number : {"0", "999999", "9999999999999999999999", "-1", "", "1x"})
    for (const char *name : {"model.diffusion_model.input_blocks.#.0.op.weight",
                             "model.diffusion_model.output_blocks.#.1.conv.weight",
                             "first_stage_model.decoder.up.#.block.#.conv1.weight",
                             "cond_stage_model.model.transformer.resblocks.#.ln_1.weight"}) {
      std::string full = name;
      for (size_t place; (place = full.find('#')) != std::string::npos;)
        full.replace(place, 1, number);
      tensors[full] = {Dtype::f32, {1}, "abcd"};
    }
  write_safetensors(folder_ / "one.safetensors", tensors);
  EXPECT_NO_THROW(Snapshot{folder_ / "one.safetensors"});
}

TEST_F(SingleFile, OtherModelsAreCalledByTheirNames) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"cond_stage_model.transformer.text_model.final_layer_norm.bias",
        "model.diffusion_model.input_blocks.0.0.weight"},
       "is a Stable Diffusion 1 model, no x4 upscaler"},
      {{"conditioner.embedders.0.transformer.text_model.x", "conditioner.embedders.1.model.ln.bias",
        "model.diffusion_model.input_blocks.0.0.weight"},
       "is an SDXL model"},
      {{"conditioner.embedders.0.model.ln_final.bias"}, "is an SDXL refiner"},
      {{"cond_stage_model.model.ln_final.bias", "model.diffusion_model.input_blocks.0.0.weight"},
       "is another model of the Stable Diffusion family"},
      {{"model.diffusion_model.joint_blocks.0.x"}, "is a Stable Diffusion 3 model"},
      {{"conv_first.weight", "RRDB_trunk.0.RDB1.conv1.weight"}, "is a GAN"},
      {{"conv_first.weight", "body.0.rdb1.conv1.weight"}, "is a GAN"},
      {{"lora_unet_down_blocks_0.alpha"}, "is a LoRA"},
      {{"down_blocks.0.resnets.0.conv1.weight"}, "whose folder is needed"},
      {{"w"}, "nor another model that is known"},
      {{}, "nor another model that is known"}};
  for (const auto &[names, expected] : cases) {
    const std::string message = error_of_names(names);
    EXPECT_NE(message.find(expected), std::string::npos) << expected << " is not in: " << message;
    EXPECT_NE(message.find("x4-upscaler-ema.safetensors"), std::string::npos) << message;
  }
  EXPECT_NE(
      error_of_names({"model.diffusion_model.input_blocks.0.0.weight"}, {8, 7, 3, 3})
          .find("lacks first_stage_model.* (vae) and cond_stage_model.model.* (text_encoder)"),
      std::string::npos);
}

TEST_F(SingleFile, AGansPickleIsCalledOneInAnyWrapping) {
  for (const char *wrapper : {"params_ema", "params", "state_dict"}) {
    const std::string tensor = pickled::tensor(pickled::storage("0", 1), 0, {1}, {1});
    const std::string state = pickled::dict({{"body.0.rdb1.conv1.weight", tensor}});
    write_file(folder_ / "x.pth",
               torch_archive(pickled::dict({{wrapper, state}}), {{"0", "abcd"}}));
    EXPECT_NE(error_of(folder_ / "x.pth").find("is a GAN"), std::string::npos);
  }
}

TEST_F(SingleFile, DownloadsThatWentWrongAreToldApart) {
  const std::string whole = checkpoint_of(original_tensors());
  write_safetensors(folder_ / "whole.safetensors", original_tensors());
  const std::string safe = read_file(folder_ / "whole.safetensors");
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "is empty"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 3\n", "\"git lfs pull\""},
      {"<!DOCTYPE html><html><body>404</body></html>", "is a web page"},
      {"\xef\xbb\xbf\n<html>", "is a web page"},
      {whole.substr(0, whole.size() / 2), "is truncated"},
      {safe.substr(0, safe.size() / 2), "is truncated"},
      {safe.substr(0, 1000), "is truncated"},
      {"\x89PNG\r\n\x1a\n" + std::string(100, 'x'), "not a safetensors file"}};
  for (const auto &[bytes, expected] : cases) {
    write_file(folder_ / "x.ckpt", bytes);
    const std::string message = error_of(folder_ / "x.ckpt");
    EXPECT_NE(message.find(expected), std::string::npos) << expected << " is not in: " << message;
    EXPECT_NE(message.find("x.ckpt"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace livepeer
