#include <gtest/gtest.h>
#include <torch/utils.h>

#include <algorithm>
#include <filesystem>

#include "text/clip_tokenizer.h"
#include "train/degradation.h"
#include "train/snapshot_export.h"
#include "train/task.h"
#include "train/trainer.h"
#include "train/words.h"
#include "weights/weight_source.h"

namespace livepeer::train {
namespace {

/// A small drawing: discs on a gradient, so that there are edges to learn.
std::vector<Picture> drawings() {
  const auto y = torch::arange(96, torch::kFloat).view({96, 1}),
             x = torch::arange(96, torch::kFloat).view({1, 96});
  std::vector<Picture> result;
  for (const char *domain : {"photo", "illustration"}) {
    auto plane = y + x;
    for (int i = 0; i < 5; ++i)
      plane = torch::where(((y - 17 * i).square() + (x - 60 + 9 * i).square()) < 90 + 30 * i,
                           plane * 0.3 + 20 * i, plane);
    result.push_back({domain,
                      domain,
                      torch::stack({plane, plane * 0.8, plane * 0.5 + 40}, 2).to(torch::kByte),
                      {}});
  }
  return result;
}

Options small(const std::string &name) {
  Options options;
  options.out = testing::TempDir() + "livepeer-train-" + name;
  std::filesystem::remove_all(options.out);
  options.channels = 16;
  options.blocks = {2, 2};
  options.batch = 4;
  options.patch = 12;
  options.learning_rate = 4e-3;
  return options;
}

bool equal(const std::map<std::string, torch::Tensor> &a,
           const std::map<std::string, torch::Tensor> &b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](auto &x, auto &y) {
           return x.first == y.first && torch::equal(x.second, y.second);
         });
}

/// Both experts: early in the schedule the first one learns, later the second.
struct TrainingPart : testing::TestWithParam<double> {};

TEST_P(TrainingPart, OverfitsOneBatch) {
  Options options = small("overfit");
  options.distinct_batches = 1;
  Trainer trainer(options, drawings(), {});
  const PictureSet pictures(drawings(), options.patch * 4);
  const NoiseSchedule &low_res_schedule = trainer.model().low_res_schedule();
  const Batch batch = BatchSource(options, pictures, low_res_schedule).make(0);
  double first = 0, last = 0;
  for (int i = 0; i < 20; ++i) first += trainer.step(batch, GetParam());
  for (int i = 0; i < 300; ++i) trainer.step(batch, GetParam());
  for (int i = 0; i < 20; ++i) last += trainer.step(batch, GetParam());
  EXPECT_LT(last, 0.5 * first);
}

INSTANTIATE_TEST_SUITE_P(BothExperts, TrainingPart, testing::Values(0.1, 0.75));

TEST(Training, TheSecondExpertBeginsWhereTheFirstOneStands) {
  const Options options = small("experts");
  Trainer trainer(options, drawings(), {});
  const PictureSet pictures(drawings(), options.patch * 4);
  const Batch batch = BatchSource(options, pictures, trainer.model().low_res_schedule()).make(0);
  const auto weight = [&](const char *expert) {
    return trainer.model()
        .weights()
        .average(torch::kFloat)
        .at(std::string(expert) + ".blocks.0.conv1.weight");
  };
  for (int i = 0; i < 3; ++i) trainer.step(batch, 0);
  const auto first = weight("experts.0");
  EXPECT_GT((weight("experts.1") - first).abs().max().item<double>(), 0.1);
  trainer.step(batch, 1);  // the learning rate is almost zero by now
  EXPECT_LT((weight("experts.1") - first).abs().max().item<double>(), 1e-3);
  EXPECT_TRUE(torch::equal(weight("experts.0"), first));
}

TEST(Training, AResumedRunEqualsAnUninterruptedOne) {
  Options whole = small("whole");
  whole.iterations = 6;
  Trainer uninterrupted(whole, drawings(), {});
  uninterrupted.run();

  Options parts = small("parts");
  parts.iterations = 6;
  parts.stop_after = 3;
  Trainer(parts, drawings(), {}).run();
  parts.stop_after = 0;
  Trainer resumed(parts, drawings(), {});
  resumed.run();

  EXPECT_TRUE(equal(uninterrupted.model().weights().average(torch::kFloat),
                    resumed.model().weights().average(torch::kFloat)));
}

TEST(Training, BatchesDependOnTheirIndexOnly) {
  const Options options = small("batches");
  const PictureSet pictures(drawings(), options.patch * 4);
  const EmbeddedModel model(options);
  const BatchSource source(options, pictures, model.low_res_schedule());
  const Batch a = source.make(3), other = source.make(4), again = source.make(3);
  EXPECT_TRUE(torch::equal(a.low_res, again.low_res));
  EXPECT_TRUE(torch::equal(a.high_res, again.high_res));
  EXPECT_FALSE(torch::equal(a.high_res, other.high_res));
  EXPECT_EQ(a.low_res.sizes(), (std::vector<int64_t>{4, 3, 12, 12}));
  EXPECT_EQ(a.high_res.sizes(), (std::vector<int64_t>{4, 3, 48, 48}));
}

TEST(Training, VideoVersionsShowTheSamePlace) {
  const Options options = small("video");
  auto pictures = drawings();
  for (Picture &picture : pictures)
    picture.video = (quantised(shrink(planes(picture.pixels), Kernel::cubic))[0] * 255)
                        .to(torch::kByte)
                        .permute({1, 2, 0});
  const PictureSet set(pictures, options.patch * scale);
  std::mt19937_64 random(1);
  for (unsigned orientation = 0; orientation < 8; ++orientation) {
    const auto [crop, video] = set.cut_video(set.choose(random, 1), orientation);
    const auto shrunk = shrink(planes(set.cut(crop, orientation)), Kernel::cubic);
    // Not at the border, where the whole picture had neighbours.
    const auto difference = (shrunk - planes(video)).slice(2, 2, -2).slice(3, 2, -2);
    EXPECT_LT(difference.abs().max().item<double>(), 1.5 / 255) << orientation;
  }
}

TEST(Training, ExportsASnapshotThatLoads) {
  const Options options = small("export");
  EmbeddedModel model(options);
  const std::string folder = options.out + "/snapshot";
  export_snapshot(folder, model, {});
  WeightOptions loading;
  loading.dtype = torch::kBFloat16;
  WeightSource source({folder + "/unet/diffusion_pytorch_model.safetensors"}, loading);
  DenoiserEnsemble loaded(Config::read(folder + "/unet/config.json"), source);
  source.finish();
  EXPECT_TRUE(source.unused().empty());
  torch::NoGradGuard no_grad;
  const auto sample = torch::randn({1, 51, 8, 8});
  const auto timestep = torch::full({1}, 500.0);
  const auto level = torch::zeros({1}, torch::kLong);
  EXPECT_TRUE(torch::equal(loaded.forward(sample, timestep, {}, level),
                           model.shipped_denoiser()->forward(sample, timestep, {}, level)));
}

TEST(Training, CombinesTheExpertsOfTwoRuns) {
  const Options options = small("combined-first");
  Options others = small("combined-second"), deeper = small("combined");
  others.seed = options.seed + 1;
  deeper.blocks[0] += 2;
  EmbeddedModel first(options), second(others), combined(deeper);
  first.save({});
  second.save({});
  combined.combine(options.out, others.out);

  torch::NoGradGuard no_grad;
  const auto sample = torch::randn({1, 51, 8, 8});
  const auto level = torch::zeros({1}, torch::kLong);
  const auto text = combined.encode({"sharp"});
  EXPECT_TRUE(torch::equal(text.pooled, second.encode({"sharp"}).pooled));
  const auto answer = [&](EmbeddedModel &model, double timestep) {
    return model.denoiser().forward(sample, torch::full({1}, timestep), text, level);
  };
  EXPECT_TRUE(torch::allclose(answer(combined, 999), answer(first, 999)));
  EXPECT_TRUE(torch::allclose(answer(combined, 500), answer(second, 500)));
  EXPECT_FALSE(torch::allclose(answer(combined, 500), answer(first, 500)));
}

TEST(Training, AveragesRuns) {
  std::vector<std::string> runs;
  torch::Tensor sum = torch::zeros({});
  const auto weight = [](const EmbeddedModel &model) {
    return model.weights().average(torch::kFloat).at("experts.0.blocks.0.conv1.weight");
  };
  for (const uint64_t seed : {1, 2, 3}) {
    Options options = small("average-" + std::to_string(seed));
    options.seed = seed;
    const EmbeddedModel model(options);
    model.save({});
    runs.push_back(options.out);
    sum = sum + weight(model);
  }
  EmbeddedModel mean(small("average"));
  mean.average(runs);
  EXPECT_TRUE(torch::allclose(weight(mean), sum / 3, 1e-4, 1e-6));
}

TEST(Degradation, ShrinksLikeTorchsAntialiasedInterpolation) {
  const auto picture = torch::rand({1, 3, 40, 52});
  const auto expected = at::_upsample_bicubic2d_aa(picture, {10, 13}, /*align_corners=*/false);
  EXPECT_LT((shrink(picture, Kernel::cubic) - expected).abs().max().item<double>(), 1e-5);
}

TEST(Degradation, EveryKernelKeepsFlatPictures) {
  const auto flat = torch::full({3, 32, 32}, 0.5F);
  for (const Kernel kernel : {Kernel::box, Kernel::triangle, Kernel::cubic, Kernel::lanczos})
    EXPECT_LT((shrink(flat, kernel) - 0.5).abs().max().item<double>(), 1e-6);
  EXPECT_LT((blur_matrix(32, 1.7).sum(1) - 1).abs().max().item<double>(), 1e-6);
}

TEST(Degradation, EachPartChangesThePicture) {
  std::mt19937_64 random(1);
  const auto picture = drawings()[0].pixels.permute({2, 0, 1}).to(torch::kFloat) / 255;
  const auto clean = degrade(picture, {}, random);
  EXPECT_TRUE(torch::equal(clean, quantised(shrink(picture, Kernel::cubic))));
  Degradation blurred, noisy, compressed;
  blurred.blur_x = blurred.blur_y = 2;
  noisy.noise = 10;
  compressed.jpeg_quality = 30;
  for (const Degradation &degradation : {blurred, noisy, compressed}) {
    const double difference =
        (degrade(picture, degradation, random) - clean).abs().mean().item<double>();
    EXPECT_GT(difference, 0.001);
    EXPECT_LT(difference, 0.1);
  }
}

TEST(Vocabulary, WordsAreOneTokenAndTokensAreUnique) {
  const Vocabulary made = make_vocabulary({"sharp", "sharpen", "photo", "photograph", "graph"});
  for (const char *word : {"sharp", "sharpen", "photo", "photograph", "graph"})
    EXPECT_EQ(std::count(made.tokens.begin(), made.tokens.end(), std::string(word) + "</w>"), 1);
  auto sorted = made.tokens;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(std::adjacent_find(sorted.begin(), sorted.end()), sorted.end());
  EXPECT_EQ(made.tokens.size(), 512 + made.merges.size() + 2);
  EXPECT_EQ(made.tokens.back(), "<|endoftext|>");
}

TEST(Vocabulary, EncodesAsTheTokenizerWill) {
  const std::string folder = testing::TempDir() + "livepeer-train-tokenizer";
  vocabulary().write(folder);
  const ClipTokenizer tokenizer(folder);
  for (const char *prompt : {"", "a sharp photo", "jpeg artefacts, noisy", "qzxv, film grain"}) {
    auto expected = tokenizer.encode(prompt).ids;
    expected.resize(tokenizer.encode(prompt).n_tokens);
    EXPECT_EQ(vocabulary().encode(prompt), expected) << prompt;
  }
}

TEST(Training, TheEmptyPromptAddsNothingAndWordsDo) {
  const Options options = small("words");
  EmbeddedModel model(options);
  const auto text = model.encode({"", "sharp", "soft"}).pooled;
  EXPECT_LT(text[0].abs().max().item<double>(), 1e-6);
  EXPECT_GT((text[1] - text[2]).abs().max().item<double>(), 1e-3);
}

TEST(Training, TargetsDiffer) {
  std::mt19937_64 random(1);
  const auto picture = drawings()[0].pixels.permute({2, 0, 1}).to(torch::kFloat) / 255;
  const auto edges = [&](Target target) {
    const auto p = retouched(picture, target, random);
    return (p.narrow(2, 1, 95) - p.narrow(2, 0, 95)).abs().mean().item<double>();
  };
  EXPECT_GT(edges(Target::sharp), 1.1 * edges(Target::plain));
  EXPECT_LT(edges(Target::soft), 0.95 * edges(Target::plain));
  EXPECT_GT(edges(Target::grain), 1.1 * edges(Target::plain));
}

TEST(Psnr, ClosedForm) {
  // A grey step of 51 levels is one of 51 * 219 / 255 in luma.
  const auto a = torch::zeros({1, 3, 16, 16}), b = torch::full({1, 3, 16, 16}, 0.2F);
  EXPECT_NEAR(psnr_y(a, b), 20 * std::log10(255 / (0.2 * 219)), 1e-6);
}

}  // namespace
}  // namespace livepeer::train
