#include <gtest/gtest.h>

#include <ostream>

#include "diffusion/noise_schedule.h"
#include "shipped_scenes.h"
#include "train/sampler.h"

// Words, guidance and the noise level of the shipped model: each changes the result in the
// direction it names, measured on pictures that the model has not learnt from.

namespace livepeer::train {
namespace {

struct ShippedWords : testing::Test {
  static void SetUpTestSuite() {
    sampler = new Sampler(SOURCE_ROOT "/models/default", /*bfloat16=*/true);
    pictures = small_scenes();
  }
  static void TearDownTestSuite() {
    delete sampler;
    pictures.clear();
  }

  /// Mean absolute Laplacian of the luma.
  static double sharpness(const torch::Tensor &picture) {
    const auto y = luma(picture)[0];
    const auto inside = y.slice(0, 1, -1).slice(1, 1, -1);
    return (inside * 4 - y.slice(0, 0, -2).slice(1, 1, -1) - y.slice(0, 2).slice(1, 1, -1) -
            y.slice(0, 1, -1).slice(1, 0, -2) - y.slice(0, 1, -1).slice(1, 2))
        .abs()
        .mean()
        .item<double>();
  }
  /// Mean sharpness of the results on clean input.
  static double sharpness(const SamplerSettings &how) {
    double sum = 0;
    for (const Scene &s : pictures) sum += sharpness(sampler->upscale(s.low_res, how));
    return sum / double(pictures.size());
  }
  /// Mean PSNR-Y of the results on input with a fault.
  static double psnr(const Degradation &fault, const SamplerSettings &how) {
    std::mt19937_64 random(1);
    double sum = 0;
    for (const Scene &s : pictures) {
      const auto low_res = degrade(s.high_res[0], fault, random).unsqueeze(0);
      sum += psnr_y(sampler->upscale(low_res, how), s.high_res);
    }
    return sum / double(pictures.size());
  }
  static SamplerSettings prompt(const std::string &words) {
    SamplerSettings how;
    how.prompt = words;
    return how;
  }
  static Sampler *sampler;
  static std::vector<Scene> pictures;
};
Sampler *ShippedWords::sampler = nullptr;
std::vector<Scene> ShippedWords::pictures;

TEST_F(ShippedWords, SharpIsSharperThanSoft) {
  const double sharp = sharpness(prompt("sharp")), soft = sharpness(prompt("soft")),
               plain = sharpness(prompt(""));
  std::printf("sharpness: sharp %.2f, plain %.2f, soft %.2f\n", sharp, plain, soft);
  EXPECT_GE(sharp / soft, 1.3);
  EXPECT_GT(sharp, plain);
  EXPECT_LT(soft, plain);
}

TEST_F(ShippedWords, UnknownWordsChangeNextToNothing) {
  for (const char *words : {"qzxv", "wombat", "a spaceship over Lisbon"})
    for (const Scene &s : pictures)
      EXPECT_GE(psnr_y(sampler->upscale(s.low_res, prompt(words)), sampler->upscale(s.low_res, {})),
                40)
          << words << " on " << s.name;
}

TEST_F(ShippedWords, GuidanceGoesFurtherAndANegativePromptTheOtherWay) {
  SamplerSettings guided = prompt("sharp"), negative;
  guided.guidance_scale = negative.guidance_scale = 2;
  negative.negative_prompt = "sharp";
  EXPECT_GT(sharpness(guided), 1.03 * sharpness(prompt("sharp")));
  EXPECT_LT(sharpness(negative), 0.97 * sharpness(prompt("")));
}

struct Fault {
  const char *word;
  Degradation degradation;
  double gain;  ///< in dB; what shows is repaired without being named, so its name adds less
};
void PrintTo(const Fault &fault, std::ostream *stream) { *stream << fault.word; }
struct ShippedFaultWords : ShippedWords, testing::WithParamInterface<Fault> {};

/// Told what is wrong with its input the model repairs it better.
TEST_P(ShippedFaultWords, NamingTheFaultHelps) {
  const auto &[word, fault, gain] = GetParam();
  const double plain = psnr(fault, {}), named = psnr(fault, prompt(word));
  std::printf("%s: %.2f dB plain, %.2f dB by its name\n", word, plain, named);
  EXPECT_GE(named - plain, gain);
}

INSTANTIATE_TEST_SUITE_P(Faults, ShippedFaultWords,
                         testing::Values(Fault{"jpeg", {0, 0, Kernel::cubic, 0, 30}, 0.05},
                                         Fault{"noisy", {0, 0, Kernel::cubic, 10, 0}, 0.05},
                                         Fault{"blurry", {2, 2, Kernel::cubic, 0, 0}, 0.2}),
                         [](const auto &fault) { return std::string(fault.param.word); });

/// As for the big model: the picture is noised, and the network told how much takes it away again;
/// the same noise under a level of 0 stays.
TEST_F(ShippedWords, TheNoiseLevelIsUnderstood) {
  constexpr int64_t level = 60;
  const NoiseSchedule schedule(
      Config::read(SOURCE_ROOT "/models/default/low_res_scheduler/scheduler_config.json"));
  double told = 0, untold = 0;
  for (const Scene &s : pictures) {
    SamplerSettings how;
    how.noise_level = level;
    told += psnr_y(sampler->upscale(s.low_res, how), s.high_res);
    const auto noise = torch::randn(s.low_res.sizes(), at::detail::createCPUGenerator(1));
    const auto noised =
        schedule.add_noise(s.low_res * 2 - 1, noise, torch::full({1}, level, torch::kLong)) / 2 +
        0.5;
    untold += psnr_y(sampler->upscale(noised, {}), s.high_res);
  }
  const auto count = double(pictures.size());
  std::printf("noise level %d: %.2f dB told, %.2f dB not told\n", int(level), told / count,
              untold / count);
  EXPECT_GE((told - untold) / count, 0.2);
}

}  // namespace
}  // namespace livepeer::train
