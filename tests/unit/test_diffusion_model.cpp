#include <gtest/gtest.h>
#include <torch/types.h>

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cstring>

#include "diffusion/diffusion_model.h"
#include "support/picture.h"
#include "support/small_networks.h"

namespace livepeer {
namespace {

using test::picture;
using test::SmallDenoiser;
using test::SmallVae;

Config scheduler_config() {
  return Config({{"_class_name", "DDIMScheduler"},
                 {"beta_schedule", "scaled_linear"},
                 {"prediction_type", "v_prediction"},
                 {"clip_sample", false},
                 {"set_alpha_to_one", false},
                 {"skip_prk_steps", true},
                 {"steps_offset", 1}},
                "scheduler_config.json");
}

Config low_res_config() {
  return Config({{"_class_name", "DDPMScheduler"}, {"beta_start", 0.0}}, "low_res_config.json");
}

struct Fixture {
  explicit Fixture(bool bounded = true)
      : unet(std::make_shared<SmallDenoiser>(bounded)),
        model({"small", "cpu", "float32", {3, 1.0, 20, 1.0}, 350, 1000}, components(bounded)) {}

  StableDiffusionUpscalePipeline::Components components(bool bounded) {
    return {unet, std::make_shared<SmallVae>(bounded),
            [this](const std::string &prompt) {
              ++encoded;
              return TextEmbeddings{{}, torch::full({1, 8}, double(prompt.size()) / 100)};
            },
            scheduler_config(), NoiseSchedule(low_res_config())};
  }

  Frame upscale(const Frame &frame, const Rect &region, const UpscaleSettings &settings = {},
                const Limits &limits = {}) {
    Progress progress;
    return model.upscale(frame, region, settings, {}, limits, progress);
  }
  Frame upscale(const Frame &frame, const UpscaleSettings &settings = {},
                const Limits &limits = {}) {
    return upscale(frame, {0, 0, frame.width, frame.height}, settings, limits);
  }

  std::shared_ptr<SmallDenoiser> unet;
  int encoded = 0;
  DiffusionModel model;
};

int largest_difference(const Frame &a, const Frame &b) {
  int largest = 0;
  for (size_t i = 0; i < a.pixels.size(); i++)
    largest = std::max(largest, std::abs(int(a.pixels[i]) - int(b.pixels[i])));
  return largest;
}

Limits tiles(unsigned size) {
  Limits limits;
  limits.tile_size = size;
  return limits;
}

TEST(Tiles, CoresCoverTheAreaOnceAndCropsReachAroundThem) {
  const Rect area{3, 5, 90, 61};
  for (const int size : {24, 40, 64}) {
    const torch::Tensor count = torch::zeros({70, 100}, torch::kInt);
    for (const Tile &tile : make_tiles(area, 100, 70, {size, 5, true})) {
      crop(count, tile.core) += 1;
      EXPECT_LE(tile.crop.x, std::max(tile.core.x - 5, 0));
      EXPECT_LE(tile.crop.y, std::max(tile.core.y - 5, 0));
      EXPECT_GE(tile.crop.x + tile.crop.width, std::min(tile.core.x + tile.core.width + 5, 100));
      EXPECT_GE(tile.crop.y + tile.crop.height, std::min(tile.core.y + tile.core.height + 5, 70));
    }
    const torch::Tensor expected = torch::zeros_like(count);
    crop(expected, area) += 1;
    EXPECT_TRUE(count.equal(expected)) << size;
  }
}

TEST(Tiles, BlendingKeepsWhatAllTilesAgreeOn) {
  const torch::Tensor whole = test::seeded({1, 3, 50, 70}, 3, 1);
  const auto part = apply_tiled(70, 50, {32, 6, false},
                                [&](const Rect &rect) { return crop(whole, rect).clone(); });
  EXPECT_LT((part - whole).abs().max().item<float>(), 1e-5F);
}

TEST(DiffusionModel, BoundedTilesAreExactForEveryScheduler) {
  Fixture fixture;
  const Frame frame = picture(75, 53);
  for (const auto scheduler : {SchedulerKind::ddim, SchedulerKind::ddpm, SchedulerKind::euler,
                               SchedulerKind::euler_ancestral, SchedulerKind::lms,
                               SchedulerKind::pndm, SchedulerKind::dpmpp_2m}) {
    UpscaleSettings settings;
    settings.scheduler = scheduler;
    settings.seed = 7;
    const Frame whole = fixture.upscale(frame, settings, tiles(1000));
    // 24: all steps of a tile at once; 16: the halo of all steps is too much for that
    for (unsigned size : {16, 24, 40})
      EXPECT_EQ(largest_difference(whole, fixture.upscale(frame, settings, tiles(size))), 0)
          << int(scheduler) << " " << size;
  }
}

TEST(DiffusionModel, RegionsEqualThatPartOfTheWholeFrame) {
  Fixture fixture;
  const Frame frame = picture(75, 53);
  UpscaleSettings settings;
  settings.seed = 3;
  ASSERT_EQ(fixture.model.receptive_radius(settings), 3 + 1);
  const Frame whole = fixture.upscale(frame, settings);
  for (const Rect &region : {Rect{0, 0, 8, 8}, Rect{30, 20, 17, 9}, Rect{74, 52, 1, 1}}) {
    const Frame expected =
        test::crop(whole, {region.x * 4, region.y * 4, region.width * 4, region.height * 4});
    EXPECT_EQ(largest_difference(expected, fixture.upscale(frame, region, settings)), 0);
    EXPECT_EQ(largest_difference(expected, fixture.upscale(frame, region, settings, tiles(24))), 0);
  }
}

TEST(DiffusionModel, BlendedTilesComeCloseWhereTheNetworkIsLocal) {
  Fixture fixture(false);
  const Frame frame = picture(96, 64);
  EXPECT_FALSE(fixture.model.receptive_radius({}));
  const Frame whole = fixture.upscale(frame, {}, tiles(1000));
  EXPECT_LE(largest_difference(whole, fixture.upscale(frame, {}, tiles(40))), 8);
}

TEST(DiffusionModel, AnySizeGivesFourTimesIt) {
  for (const bool bounded : {true, false}) {
    Fixture fixture(bounded);
    for (const auto &[width, height] : {std::pair{1, 1}, {2, 3}, {5, 1}, {17, 23}, {64, 33}}) {
      const Frame out = fixture.upscale(picture(width, height));
      EXPECT_EQ(out.width, 4 * width);
      EXPECT_EQ(out.height, 4 * height);
    }
  }
}

/// Where the networks need multiples of 4, the last column and row are repeated.
TEST(DiffusionModel, OddSizesArePaddedByTheirEdge) {
  Fixture fixture(false);
  const Frame frame = picture(5, 3);
  Frame padded(8, 4);
  for (int y = 0; y < padded.height; ++y)
    for (int x = 0; x < padded.width; ++x)
      std::memcpy(padded.row(y) + 3 * x, frame.row(std::min(y, 2)) + 3 * std::min(x, 4), 3);
  EXPECT_EQ(fixture.upscale(frame).pixels,
            test::crop(fixture.upscale(padded), {0, 0, 20, 12}).pixels);
}

TEST(DiffusionModel, GuidanceCombinesBothPrompts) {
  Fixture fixture;
  const Frame frame = picture(8, 8);
  UpscaleSettings settings;
  settings.prompt = "a long prompt";
  settings.steps = 1;
  fixture.upscale(frame, settings);
  EXPECT_EQ(fixture.unet->last_batch, 1) << "no guidance at 1.0";
  settings.guidance_scale = 3;
  fixture.upscale(frame, settings);
  EXPECT_EQ(fixture.unet->last_batch, 2);
  // The prompt is an additive shift here, so scale 3 acts like a prompt three times as strong.
  const Frame guided = fixture.upscale(frame, settings);
  settings.prompt = std::string(3 * settings.prompt.size(), 'x');
  settings.guidance_scale = 1;
  EXPECT_LE(largest_difference(guided, fixture.upscale(frame, settings)), 1);
}

TEST(DiffusionModel, PromptsAreEncodedOnce) {
  Fixture fixture;
  UpscaleSettings settings;
  settings.prompt = "one";
  settings.guidance_scale = 5;
  for (int i = 0; i < 3; i++) fixture.upscale(picture(8, 8), settings);
  EXPECT_EQ(fixture.encoded, 2);
}

TEST(DiffusionModel, SeedsAndTemperatureActOnTheNoise) {
  Fixture fixture;
  const Frame frame = picture(16, 16);
  UpscaleSettings settings;
  settings.noise_level = 0;  // free of noise in this low-resolution schedule
  settings.seed = 1;
  const Frame one = fixture.upscale(frame, settings);
  EXPECT_EQ(largest_difference(one, fixture.upscale(frame, settings)), 0);
  settings.seed = 2;
  EXPECT_GT(largest_difference(one, fixture.upscale(frame, settings)), 0);
  settings.noise_temperature = 0;
  const Frame cold = fixture.upscale(frame, settings);
  settings.seed = 1;
  EXPECT_EQ(largest_difference(cold, fixture.upscale(frame, settings)), 0);
}

TEST(DiffusionModel, EtaAddsNoiseWhereTheSamplerIsDdim) {
  Fixture fixture;
  const Frame frame = picture(16, 16);
  UpscaleSettings settings;
  settings.steps = 3;
  for (const SchedulerKind kind : {SchedulerKind::ddim, SchedulerKind::euler}) {
    settings.scheduler = kind;
    settings.eta = 0;
    const Frame plain = fixture.upscale(frame, settings);
    EXPECT_TRUE(fixture.model.receptive_radius(settings));
    settings.eta = 1;
    const bool is_ddim = kind == SchedulerKind::ddim;
    EXPECT_EQ(largest_difference(plain, fixture.upscale(frame, settings)) > 0, is_ddim);
    EXPECT_EQ(fixture.model.receptive_radius(settings).has_value(), !is_ddim);
  }
  settings.eta = 1.5;
  EXPECT_EQ(settings.validate().size(), 1U);
}

TEST(DiffusionModel, CancelEndsWithinOneStep) {
  Fixture fixture;
  UpscaleSettings settings;
  settings.steps = 50;
  Progress *handle = nullptr;
  Progress progress([&](double, const std::string &what) {
    if (what == "step 2 of 50") handle->cancel();
  });
  handle = &progress;
  const Frame frame = picture(8, 8);
  try {
    fixture.model.upscale(frame, {0, 0, 8, 8}, settings, {}, {}, progress);
    FAIL() << "was not cancelled";
  } catch (const Error &error) {
    EXPECT_EQ(error.kind(), ErrorKind::cancelled);
  }
  EXPECT_LE(fixture.unet->calls, 2);
}

TEST(DiffusionModel, ProgressNeverFalls) {
  Fixture fixture;
  std::vector<double> fractions;
  Progress progress([&](double fraction, const std::string &) { fractions.push_back(fraction); });
  fixture.model.upscale(picture(75, 53), {0, 0, 75, 53}, {}, {}, tiles(24), progress);
  EXPECT_TRUE(std::is_sorted(fractions.begin(), fractions.end()));
  EXPECT_EQ(fractions.back(), 1);
}

TEST(DiffusionModel, SettingsThatTheModelCannotDoAreReplacedAndNoted) {
  Fixture fixture;
  const auto notes = [&](const UpscaleSettings &settings) {
    EXPECT_EQ(fixture.upscale(picture(4, 4), settings).width, 16);
    return fixture.model.resolve(settings).notes;
  };
  UpscaleSettings settings;
  EXPECT_TRUE(notes(settings).empty());
  settings.noise_level = 351;
  ASSERT_EQ(notes(settings).size(), 1U);
  EXPECT_EQ(notes(settings)[0].kind(), ErrorKind::settings);
  EXPECT_NE(std::string(notes(settings)[0].what()).find("350"), std::string::npos);
  EXPECT_EQ(fixture.model.resolve(settings).noise_level, 350);
  settings = {};
  settings.steps = 1001;
  EXPECT_EQ(fixture.model.resolve(settings).steps, 999U) << "the most of this schedule";
  EXPECT_EQ(fixture.model.resolve(settings).notes.size(), 1U);

  auto parts = fixture.components(true);
  parts.scheduler = Config({{"_class_name", "PNDMScheduler"}, {"skip_prk_steps", false}}, "config");
  const DiffusionModel pndm({"small", "cpu", "float32", {3, 1.0, 20, 1.0}, 350, 1000}, parts);
  settings.steps = 2;
  EXPECT_EQ(pndm.resolve(settings).steps, 4U) << "the fewest that PNDM can do";
  ASSERT_EQ(pndm.resolve(settings).notes.size(), 1U);
  EXPECT_EQ(pndm.resolve(settings).notes[0].kind(), ErrorKind::settings);
  EXPECT_THROW(fixture.model.check_safety(picture(4, 4)), Error);
}

TEST(DiffusionModel, AnIntervalOfTheStepsIsGuided) {
  Fixture fixture;
  UpscaleSettings settings;
  settings.prompt = "a cat";
  settings.guidance_scale = 9;
  settings.steps = 10;
  const auto batches = [&] {
    std::vector<int64_t> seen;
    Progress progress([&](double, const std::string &) {
      if (fixture.unet->calls > int(seen.size())) seen.push_back(fixture.unet->last_batch);
    });
    fixture.unet->calls = 0;
    fixture.model.upscale(picture(8, 8), {0, 0, 8, 8}, settings, {}, {}, progress);
    return seen;
  };
  EXPECT_EQ(batches(), std::vector<int64_t>(10, 2));
  settings.guidance_start = 0.25;
  settings.guidance_stop = 0.7;
  EXPECT_EQ(batches(), (std::vector<int64_t>{1, 1, 2, 2, 2, 2, 2, 1, 1, 1}));
  EXPECT_TRUE(fixture.model.resolve(settings).notes.empty());
  settings.guidance_start = 0.7;
  EXPECT_EQ(fixture.model.resolve(settings).notes.size(), 1U);
  EXPECT_EQ(batches(), std::vector<int64_t>(10, 2)) << "all, where the interval is none";
  settings.guidance_start = -0.1;
  settings.guidance_stop = 1.1;
  EXPECT_EQ(settings.validate().size(), 2U);
}

/// Adds one for each evaluation of its deep layers.
class CountingDenoiser : public SmallDenoiser {
 public:
  torch::Tensor forward_past(DeepFeatures &deep, const torch::Tensor &sample,
                             const torch::Tensor &timesteps, const TextEmbeddings &text,
                             const torch::Tensor &class_labels) override {
    if (!deep.value.defined()) {
      deep.value = torch::full({1}, sample.size(0));
      ++deep_calls;
    }
    EXPECT_EQ(deep.value.item<int64_t>(), sample.size(0)) << "another batch's";
    branch = deep.branch;
    return forward(sample, timesteps, text, class_labels);
  }
  int64_t deep_branches() const override { return 6; }

  int deep_calls = 0;
  int64_t branch = -1;
};

TEST(DiffusionModel, DeepLayersAreComputedInEveryNthStepOfEachTile) {
  Fixture fixture(/*bounded=*/false);
  auto parts = fixture.components(false);
  const auto unet = std::make_shared<CountingDenoiser>();
  parts.unet = unet;
  DiffusionModel model({"small", "cpu", "float32", {3, 1.0, 20, 1.0}, 350, 1000}, parts);
  UpscaleSettings settings;
  settings.steps = 10;
  settings.prompt = "a cat";
  const auto deep_calls = [&](const Frame &frame, const Limits &limits = {}) {
    unet->deep_calls = 0;
    Progress progress;
    model.upscale(frame, {0, 0, frame.width, frame.height}, settings, {}, limits, progress);
    return unet->deep_calls;
  };
  EXPECT_EQ(deep_calls(picture(8, 8)), 0) << "off";
  settings.cache_interval = 3;
  settings.cache_branch_id = 4;
  EXPECT_EQ(deep_calls(picture(8, 8)), 4);
  EXPECT_EQ(unet->branch, 4);
  unet->calls = 0;
  const int of_tiles = deep_calls(picture(96, 32), tiles(32));
  EXPECT_GE(of_tiles, 3 * 4);
  EXPECT_EQ(of_tiles, unet->calls / 10 * 4) << "four of each tile's ten";
  settings.guidance_scale = 9;
  settings.guidance_start = 0.2;
  EXPECT_EQ(deep_calls(picture(8, 8)), 5) << "and where guidance starts";

  EXPECT_TRUE(model.resolve(settings).notes.empty());
  settings.cache_interval = 11;
  EXPECT_EQ(model.resolve(settings).cache_interval, 10U);
  EXPECT_EQ(model.resolve(settings).notes.size(), 1U);
  settings.cache_interval = 2;
  settings.cache_branch_id = 6;
  EXPECT_EQ(model.resolve(settings).cache_branch_id, 5U);
  EXPECT_EQ(model.resolve(settings).notes.size(), 1U);
  EXPECT_EQ(fixture.model.resolve(settings).notes.size(), 1U) << "has no deep layers";
  EXPECT_EQ(fixture.model.resolve(settings).cache_interval, 1U);
}

TEST(DiffusionModel, WhatIsCutOffAPromptIsNotedWithoutItsText) {
  Fixture fixture;
  auto parts = fixture.components(true);
  parts.measure_prompt = [](const std::string &prompt) {
    return StableDiffusionUpscalePipeline::PromptLength{prompt.size(),
                                                        std::min<size_t>(prompt.size(), 4)};
  };
  const DiffusionModel model({"small", "cpu", "float32", {3, 1.0, 20, 1.0}, 350, 1000}, parts);
  UpscaleSettings settings;
  settings.prompt = "cat";
  EXPECT_TRUE(model.resolve(settings).notes.empty());
  settings.negative_prompt = "secret";
  const auto notes = model.resolve(settings).notes;
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_EQ(notes[0].kind(), ErrorKind::failed);
  const std::string text = std::string(notes[0].what()) + notes[0].detail();
  EXPECT_NE(text.find("last 2 of 6 tokens"), std::string::npos) << text;
  EXPECT_EQ(text.find("secret"), std::string::npos);
}

TEST(DiffusionModel, NumbersThatAreNotFiniteAreAnErrorAndNoPicture) {
  struct Faulty : SmallVae {
    explicit Faulty(float value) : SmallVae(true), value(value) {}
    torch::Tensor decode(const torch::Tensor &latents, const torch::Tensor &low_res) override {
      torch::Tensor image = SmallVae::decode(latents, low_res);
      image.view(-1)[5] = value;
      return image;
    }
    float value;
  };
  for (const float value : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    Fixture fixture;
    auto parts = fixture.components(true);
    parts.vae = std::make_shared<Faulty>(value);
    DiffusionModel model({"small", "cpu", "float32", {3, 1.0, 20, 1.0}, 350, 1000}, parts);
    Progress progress;
    try {
      model.upscale(picture(8, 8), {0, 0, 8, 8}, {}, {}, {}, progress);
      ADD_FAILURE() << "a picture was made";
    } catch (const Error &error) {
      EXPECT_EQ(error.kind(), ErrorKind::failed);
    }
  }
}

TEST(DiffusionModel, ThreadsDoNotChangeTheResult) {
  Fixture fixture;
  const Frame frame = picture(64, 48);
  Limits one, two;
  one.n_threads = 1;
  two.n_threads = 2;
  EXPECT_LE(largest_difference(fixture.upscale(frame, {}, one), fixture.upscale(frame, {}, two)),
            0);
}

TEST(DiffusionModel, SchedulesAreComputedOncePerSettingsAndNotPerFrameAndTile) {
  Fixture fixture;
  const auto parts = fixture.components(true);
  DiffusionModel model({"small", "cpu", "float32", {3, 1.0, 20, 1.0}, 350, 1000}, parts);
  Progress progress;
  UpscaleSettings settings;
  const auto computed_for_frames = [&] {
    for (settings.seed = 0; settings.seed < 3; ++settings.seed) {
      const int before = fixture.unet->calls;
      model.receptive_radius(settings);
      model.upscale(picture(75, 53), {0, 0, 75, 53}, settings, {}, tiles(32), progress);
      EXPECT_GT(fixture.unet->calls - before, 3) << "tiles";
    }
    return parts.scheduler.computed();
  };
  EXPECT_EQ(computed_for_frames(), 1U);
  settings.steps = 2;
  EXPECT_EQ(computed_for_frames(), 2U);
  settings.scheduler = SchedulerKind::lms;
  EXPECT_EQ(computed_for_frames(), 3U);
  settings = {};
  EXPECT_EQ(computed_for_frames(), 3U) << "known from before";
}

}  // namespace
}  // namespace livepeer
