#include <gtest/gtest.h>

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "shipped_scenes.h"
#include "train/sampler.h"

// Is the shipped model a diffusion model, or a sharpener with noise on top? What a model of the
// distribution of sharp pictures must do, and a sharpener cannot: its samples average to its
// one-step answer, and their spread says how wrong it is, place by place.

namespace livepeer::train {
namespace {

/// One scene and as many samples of it as there are seeds, [draws, 3, 144, 144].
struct Drawn {
  Scene scene;
  torch::Tensor samples;
};

double average(const torch::Tensor &values) { return values.mean().item<double>(); }
double mean_square(const torch::Tensor &values) { return average(values.square()); }
double decibel(const torch::Tensor &difference) {
  return -10 * std::log10(mean_square(difference));
}

struct DiffusionProof : testing::Test {
  static void SetUpTestSuite() {
    sampler = new Sampler(SOURCE_ROOT "/models/default");
    few_steps = draw(large_scenes(), 8);
    // What clients of the big model ask for.
    auto scenes = large_scenes();
    for (const Scene &s : small_scenes()) scenes.push_back(s);
    many_steps = draw(scenes, 75);
  }
  static void TearDownTestSuite() {
    delete sampler;
    few_steps.clear();
    many_steps.clear();
  }
  static std::vector<Drawn> draw(const std::vector<Scene> &scenes, unsigned steps) {
    SamplerSettings how;
    how.steps = steps;
    std::vector<Drawn> result;
    for (const Scene &s : scenes) result.push_back({s, sampler->upscale(s.low_res, how, draws)});
    return result;
  }
  /// Every scene's value of `measure`, joined.
  static torch::Tensor over(
      const std::vector<Drawn> &all,
      const std::function<torch::Tensor(const Scene &, const torch::Tensor &samples)> &measure) {
    std::vector<torch::Tensor> parts;
    for (const Drawn &one : all) parts.push_back(measure(one.scene, one.samples).flatten());
    return torch::cat(parts);
  }
  static constexpr int64_t draws = 32;
  static Sampler *sampler;
  static std::vector<Drawn> few_steps, many_steps;
};
Sampler *DiffusionProof::sampler = nullptr;
std::vector<Drawn> DiffusionProof::few_steps, DiffusionProof::many_steps;

/// The mean of n independent samples has the error M (1 + c / n): M is that of the distribution's
/// mean. Samples of the true posterior have c = 1; a sharpener's are all one, c = 0.
TEST_F(DiffusionProof, AveragingLaw) {
  std::vector<double> inverse, error;
  for (int64_t n = 1; n <= draws; n *= 2) {
    // Every group of n samples, so that one draw is not taken for the law.
    double sum = 0;
    for (int64_t first = 0; first < draws; first += n)
      sum += mean_square(over(many_steps, [&](const Scene &s, const torch::Tensor &all) {
        return all.narrow(0, first, n).mean(0, true) - s.high_res;
      }));
    inverse.push_back(1.0 / double(n));
    error.push_back(sum * double(n) / double(draws));
  }
  // Least squares of error = M + M c / n.
  double x = 0, y = 0, xx = 0, xy = 0;
  const auto count = double(error.size());
  for (size_t i = 0; i < error.size(); ++i) {
    x += inverse[i];
    y += error[i];
    xx += inverse[i] * inverse[i];
    xy += inverse[i] * error[i];
  }
  const double slope = (count * xy - x * y) / (count * xx - x * x), limit = (y - slope * x) / count;
  std::printf("averaging law: M %.6f, c %.3f\n", limit, slope / limit);
  EXPECT_GE(slope / limit, 0.5);
  EXPECT_LE(slope / limit, 1.2);
  for (size_t i = 0; i < error.size(); ++i)
    EXPECT_NEAR(limit + slope * inverse[i], error[i], 0.05 * error[i]) << "of 1 / " << inverse[i];
}

/// Where samples differ much the mean is wrong by as much; noise laid over a sharpened picture
/// knows nothing of its errors.
TEST_F(DiffusionProof, SpreadPredictsTheError) {
  // One half of the samples sorts the pixels, the other one predicts: sorted by what it says
  // itself, the least and the greatest variances would be partly chance.
  const auto half = [](int64_t which) {
    return over(many_steps, [which](const Scene &, const torch::Tensor &all) {
      return all.chunk(2)[which].var(0, /*unbiased=*/true);
    });
  };
  // The truth is one more sample: from the mean of n it differs by 1 + 1 / n times the variance.
  const auto variance = half(1) * (1 + 1.0 / double(draws));
  const auto error = over(many_steps, [](const Scene &s, const torch::Tensor &all) {
    return (all.mean(0, true) - s.high_res)[0];
  });
  const auto order = half(0).argsort();
  const int64_t fifth = variance.size(0) / 5;
  for (int64_t i = 0; i < 5; ++i) {
    const auto here = order.narrow(0, i * fifth, fifth);
    const double predicted = std::sqrt(average(variance.index_select(0, here)));
    const double actual = std::sqrt(mean_square(error.index_select(0, here)));
    std::printf("calibration: quintile %d, predicted %.4f, actual %.4f\n", int(i + 1), predicted,
                actual);
    EXPECT_NEAR(predicted, actual, 0.25 * actual) << "quintile " << i + 1;
  }
  const auto pair = torch::stack({variance.sqrt(), error.abs()});
  const double correlation = torch::corrcoef(pair)[0][1].item<double>();
  std::printf("calibration: correlation %.3f\n", correlation);
  EXPECT_GE(correlation, 0.35);
}

TEST_F(DiffusionProof, SamplesAverageToTheOneStepAnswer) {
  const double psnr = decibel(over(few_steps, [](const Scene &s, const torch::Tensor &all) {
    return all.mean(0, true) - sampler->upscale(s.low_res, {});
  }));
  std::printf("mean of the samples against one step: %.1f dB\n", psnr);
  EXPECT_GE(psnr, 38);
}

TEST_F(DiffusionProof, DoublingTheStepsConverges) {
  // Counts that divide the 1000 timesteps: diffusers' DDIM rounds its stride down.
  constexpr unsigned fewest = 5;
  std::vector<torch::Tensor> results;
  for (unsigned steps = fewest; steps <= 40; steps *= 2)
    results.push_back(over(few_steps, [&](const Scene &s, const torch::Tensor &) {
      SamplerSettings how;
      how.steps = steps;
      return sampler->upscale(s.low_res, how);
    }));
  double before = 0;
  for (size_t i = 1; i < results.size(); ++i) {
    const double psnr = decibel(results[i] - results[i - 1]);
    std::printf("%u against %u steps: %.1f dB\n", fewest << i, fewest << (i - 1), psnr);
    // Beyond this it is the rounding of bfloat16 that differs.
    EXPECT_GT(psnr, std::min(before, 48.0));
    before = psnr;
  }
}

TEST_F(DiffusionProof, TheEstimateImprovesAsTheNoiseFalls) {
  double before = 0;
  for (const int64_t timestep : {999, 874, 749, 624, 499, 374, 249, 124}) {
    const double psnr = decibel(over(few_steps, [&](const Scene &s, const torch::Tensor &) {
      return sampler->denoised(s.high_res, s.low_res, timestep, 1) - s.high_res;
    }));
    std::printf("denoised estimate at t = %d: %.2f dB\n", int(timestep), psnr);
    EXPECT_GT(psnr, before);
    before = psnr;
  }
}

TEST_F(DiffusionProof, ASeedIsOnePictureWhateverTheThreads) {
  SamplerSettings how;
  how.steps = 4;
  how.seed = 7;
  const int threads = at::get_num_threads();
  const auto first = sampler->upscale(few_steps[0].scene.low_res, how);
  EXPECT_TRUE(torch::equal(first, sampler->upscale(few_steps[0].scene.low_res, how)));
  at::set_num_threads(threads > 1 ? 1 : 2);
  EXPECT_TRUE(torch::equal(first, sampler->upscale(few_steps[0].scene.low_res, how)));
  at::set_num_threads(threads);
}

/// Seeds differ where the input leaves something open, and hardly where it is flat.
TEST_F(DiffusionProof, SeedsDifferInTexture) {
  const auto detail = over(many_steps, [](const Scene &s, const torch::Tensor &) {
    return at::avg_pool2d((s.high_res - at::avg_pool2d(s.high_res, 5, 1, 2)).square(), 9, 1, 4);
  });
  const auto spread = over(many_steps, [](const Scene &, const torch::Tensor &all) {
    return all.std(0, /*unbiased=*/true);
  });
  const auto order = detail.argsort();
  const int64_t tenth = detail.size(0) / 10;
  const double flat = average(spread.index_select(0, order.narrow(0, 0, tenth)));
  const double textured = average(spread.index_select(0, order.narrow(0, 9 * tenth, tenth)));
  std::printf("spread of seeds: flat %.4f, textured %.4f\n", flat, textured);
  EXPECT_GT(textured, 4 * flat);
}

TEST_F(DiffusionProof, ShrunkAgainTheResultIsTheInput) {
  const auto consistency = [](unsigned steps) {
    return decibel(over(few_steps, [&](const Scene &s, const torch::Tensor &) {
      SamplerSettings how;
      how.steps = steps;
      return shrink(sampler->upscale(s.low_res, how), Kernel::cubic) - s.low_res;
    }));
  };
  const double one = consistency(1), eight = consistency(8);
  std::printf("consistency: 1 step %.1f dB, 8 steps %.1f dB\n", one, eight);
  EXPECT_GE(one, 45);
  EXPECT_GE(eight, 40);
}

}  // namespace
}  // namespace livepeer::train
