#include <gtest/gtest.h>
#include <torch/types.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "diffusion/torch_model_loader.h"
#include "io/config.h"
#include "nn/unet/unet_2d_condition_model.h"
#include "nn/vae/autoencoder_tiny.h"
#include "support/picture.h"
#include "support/temporary_folder.h"
#include "weights/random_parameters.h"
#include "weights/weight_source.h"

namespace livepeer {
namespace {

const std::filesystem::path models = std::filesystem::path(SOURCE_ROOT) / "models";

ModelSpec spec_of(const std::string &model, Precision precision = Precision::float32) {
  setenv("LIVEPEER_UPSCALE_MODELS", models.c_str(), 1);
  ModelSpec spec;
  spec.model = model;
  spec.device = "cpu";
  spec.precision = precision;
  spec.safety_check = false;
  return spec;
}

std::shared_ptr<UpscaleModel> load(const ModelSpec &spec) {
  Progress progress;
  return TorchModelLoader().load(spec, {}, progress);
}

/// Kind of the error that check() throws, and what it says.
std::pair<ErrorKind, std::string> complaint(const ModelSpec &spec) {
  try {
    TorchModelLoader().check(spec);
  } catch (const Error &error) {
    return {error.kind(), error.what()};
  }
  return {ErrorKind::cancelled, "no error"};
}

Frame picture(int width, int height) {
  const Frame photo =
      test::read_picture(std::string(SOURCE_ROOT) + "/examples/samples/mountain.png");
  return test::crop(photo, {20, 30, width, height});
}

Frame upscale(UpscaleModel &model, const Frame &frame, const Rect &region,
              const UpscaleSettings &settings, unsigned tile_size = 0) {
  Limits limits;
  limits.tile_size = tile_size;
  Progress progress;
  return model.upscale(frame, region, settings, {}, limits, progress);
}

Frame upscale(UpscaleModel &model, const Frame &frame, const UpscaleSettings &settings,
              unsigned tile_size = 0) {
  return upscale(model, frame, {0, 0, frame.width, frame.height}, settings, tile_size);
}

class EmbeddedModel : public testing::TestWithParam<Precision> {};

TEST_P(EmbeddedModel, TilesAndRegionsAreExact) {
  const auto model = load(spec_of("default", GetParam()));
  const Frame frame = picture(150, 118);
  for (const unsigned steps : {1U, 2U}) {
    UpscaleSettings settings;
    settings.steps = steps;
    settings.seed = 5;
    const auto radius = model->receptive_radius(settings);
    ASSERT_TRUE(radius);
    const Frame whole = upscale(*model, frame, settings, 4096);
    for (const unsigned size : {72U, 88U, 176U})
      EXPECT_EQ(whole.pixels, upscale(*model, frame, settings, size).pixels)
          << steps << " steps, tiles of " << size;
    const Rect region{61, 40, 33, 50};
    EXPECT_EQ(
        test::crop(whole, {region.x * 4, region.y * 4, region.width * 4, region.height * 4}).pixels,
        upscale(*model, frame, region, settings).pixels);
  }
}

INSTANTIATE_TEST_SUITE_P(Precisions, EmbeddedModel,
                         testing::Values(Precision::float32, Precision::bfloat16),
                         [](const auto &info) {
                           return info.param == Precision::float32 ? "float32" : "bfloat16";
                         });

TEST(TorchModelLoader, LoadsTheEmbeddedModelWithItsOwnDefaults) {
  std::vector<double> fractions;
  Progress progress([&](double fraction, const std::string &) { fractions.push_back(fraction); });
  const auto model = TorchModelLoader().load(spec_of(""), {}, progress);
  ASSERT_FALSE(fractions.empty());
  EXPECT_TRUE(std::is_sorted(fractions.begin(), fractions.end()));
  EXPECT_EQ(fractions.back(), 1);
  EXPECT_EQ(model->id(), "default");
  EXPECT_EQ(model->device(), "cpu");
  EXPECT_EQ(model->precision(), "float32");
  const ResolvedSettings settings = model->resolve({});
  const Config index = Config::read(models / "default/model_index.json");
  EXPECT_EQ(settings.steps, index.require<unsigned>("default_num_inference_steps"));
  EXPECT_EQ(settings.noise_level, index.require<int>("default_noise_level"));
  EXPECT_GT(model->memory_estimate(320, 180, 1, {}), 1000000U);
}

TEST(TorchModelLoader, IdentityFollowsFilesAndPrecision) {
  TorchModelLoader loader;
  EXPECT_EQ(loader.check(spec_of("default")).identity, loader.check(spec_of("")).identity);
  EXPECT_NE(loader.check(spec_of("default")).identity,
            loader.check(spec_of("default", Precision::bfloat16)).identity);
}

TEST(TorchModelLoader, IdentityFollowsTheSafetyChecker) {
  TorchModelLoader loader;
  const test::TemporaryFolder checker;
  for (const auto &file : std::filesystem::directory_iterator(models / "default-safety"))
    std::filesystem::copy(file, checker.path());
  ModelSpec spec = spec_of("default");
  spec.safety_check = true;
  spec.safety_model = checker.path();
  const std::string before = loader.check(spec).identity;
  EXPECT_EQ(loader.check(spec).identity, before);
  std::ofstream(checker / "config.json", std::ios::app) << "\n";
  EXPECT_NE(loader.check(spec).identity, before);
}

TEST(TorchModelLoader, CancelStopsALoad) {
  Progress progress;
  progress.cancel();
  try {
    TorchModelLoader().load(spec_of("default"), {}, progress);
    FAIL() << "was not cancelled";
  } catch (const Error &error) {
    EXPECT_EQ(error.kind(), ErrorKind::cancelled);
  }
}

TEST(TorchModelLoader, RefusesDevicesAndPrecisionsThatAreNotThere) {
  ModelSpec spec = spec_of("default");
  spec.device = "tpu";
  EXPECT_EQ(complaint(spec).first, ErrorKind::settings);
  spec.device = "cuda:99";
  EXPECT_EQ(complaint(spec).first, ErrorKind::init);
  EXPECT_EQ(complaint(spec_of("default", Precision::float16)).first, ErrorKind::settings);
  EXPECT_EQ(complaint(spec_of("/does/not/exist")).first, ErrorKind::not_found);
}

/// A copy of the embedded snapshot for a test to change.
class SnapshotCopy {
 public:
  SnapshotCopy() {
    std::filesystem::copy(models / "default", folder_ / "model",
                          std::filesystem::copy_options::recursive);
  }
  std::string path() const { return folder_ / "model"; }
  /// Merges `changes` into a JSON file.
  void patch(const std::string &file, const nlohmann::json &changes) {
    nlohmann::json values = Config::read(path() + "/" + file).json();
    values.update(changes);
    test::write_file(path() + "/" + file, values.dump());
  }

 private:
  test::TemporaryFolder folder_;
};

TEST(TorchModelLoader, UnknownClassesAreNamed) {
  const auto expect_named = [](const char *component) {
    SnapshotCopy copy;
    copy.patch("model_index.json", {{component, {"diffusers", "FancyNet"}}});
    const auto [kind, text] = complaint(spec_of(copy.path()));
    EXPECT_EQ(kind, ErrorKind::open_read) << component;
    EXPECT_NE(text.find("FancyNet"), std::string::npos) << text;
  };
  for (const char *component : {"unet", "vae", "text_encoder", "tokenizer"})
    expect_named(component);
  SnapshotCopy copy;
  copy.patch("scheduler/scheduler_config.json", {{"_class_name", "FancyScheduler"}});
  EXPECT_NE(complaint(spec_of(copy.path())).second.find("FancyScheduler"), std::string::npos);
  copy.patch("model_index.json", {{"_class_name", "FluxPipeline"}});
  EXPECT_NE(complaint(spec_of(copy.path())).second.find("FluxPipeline"), std::string::npos);
}

/// Replaces a component of the snapshot by one with random weights.
template <typename Network>
void write_random(SnapshotCopy &copy, const std::string &folder, const nlohmann::json &config) {
  const std::filesystem::path path = copy.path() + "/" + folder;
  std::filesystem::remove_all(path);
  test::write_file(path / "config.json", config.dump());
  RandomParameters random(11);
  const Network network(Config(config, "config.json"), ParameterScope(random));
  write_tensors(path / "diffusion_pytorch_model.safetensors", random.parameters());
  copy.patch("model_index.json", {{folder, {"diffusers", config.at("_class_name")}}});
}

TEST(TorchModelLoader, LoadsAFourStepGuidanceFreeRelative) {
  SnapshotCopy copy;
  write_random<UNet2DConditionModel>(copy, "unet",
                                     {{"_class_name", "UNet2DConditionModel"},
                                      {"in_channels", 7},
                                      {"out_channels", 4},
                                      {"block_out_channels", {16, 32}},
                                      {"down_block_types", {"DownBlock2D", "CrossAttnDownBlock2D"}},
                                      {"up_block_types", {"CrossAttnUpBlock2D", "UpBlock2D"}},
                                      {"layers_per_block", 1},
                                      {"norm_num_groups", 8},
                                      {"attention_head_dim", 4},
                                      {"cross_attention_dim", 64},
                                      {"num_class_embeds", 1000},
                                      {"only_cross_attention", {true, false}},
                                      {"use_linear_projection", true}});
  write_random<AutoencoderTiny>(copy, "vae",
                                {{"_class_name", "AutoencoderTiny"},
                                 {"encoder_block_out_channels", {16, 16, 16}},
                                 {"decoder_block_out_channels", {16, 16, 16}},
                                 {"num_encoder_blocks", {1, 1, 1}},
                                 {"num_decoder_blocks", {1, 1, 1}},
                                 {"latent_channels", 4},
                                 {"scaling_factor", 0.5}});
  copy.patch("scheduler/scheduler_config.json", {{"prediction_type", "v_prediction"},
                                                 {"rescale_betas_zero_snr", true},
                                                 {"timestep_spacing", "trailing"}});
  copy.patch("model_index.json",
             {{"default_num_inference_steps", 4}, {"default_guidance_scale", 1.0}});

  const auto model = load(spec_of(copy.path()));
  EXPECT_EQ(model->resolve({}).steps, 4U);
  std::vector<std::string> steps;
  Progress progress([&](double, const std::string &what) {
    if (what.rfind("step", 0) == 0) steps.push_back(what);
  });
  const Frame frame = picture(22, 17);
  UpscaleSettings settings;
  settings.prompt = "a photo";
  const Frame out = model->upscale(frame, {0, 0, 22, 17}, settings, {}, {}, progress);
  EXPECT_EQ(out.width, 88);
  EXPECT_EQ(out.height, 68);
  EXPECT_EQ(steps.size(), 4U) << "four steps of one evaluation each";
  EXPECT_EQ(steps.back(), "step 4 of 4");
  EXPECT_EQ(out.pixels, upscale(*model, frame, settings).pixels);
  settings.seed = 1;
  EXPECT_NE(out.pixels, upscale(*model, frame, settings).pixels);
  EXPECT_FALSE(model->receptive_radius(settings));
}

TEST(TorchModelLoader, SafetyCheckNeedsAChecker) {
  ModelSpec spec = spec_of("default");
  spec.safety_check = true;
  const auto model = load(spec);
  ASSERT_TRUE(model->has_safety_checker());
  EXPECT_FALSE(model->check_safety(picture(64, 64)).nsfw);
  EXPECT_FALSE(load(spec_of("default"))->has_safety_checker());

  test::TemporaryFolder empty;
  spec.model = models / "default";
  setenv("LIVEPEER_UPSCALE_MODELS", empty.path().c_str(), 1);
  EXPECT_EQ(complaint(spec).first, ErrorKind::not_found);
  spec.safety_model = empty.path();
  EXPECT_EQ(complaint(spec).first, ErrorKind::not_found);
}

}  // namespace
}  // namespace livepeer
