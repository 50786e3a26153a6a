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
    sampler = new Sampler(SOURCE_ROOT "/models/default");
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
  static SamplerSettings prompt(const std::string &words, unsigned steps = 1) {
    SamplerSettings how;
    how.prompt = words;
    how.steps = steps;
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

/// Grain is noise, which no single step's mean can hold.
TEST_F(ShippedWords, GrainIsAddedBySeveralSteps) {
  const double grain = sharpness(prompt("grain", 8)), clean = sharpness(prompt("clean", 8)),
               plain = sharpness(prompt("", 8));
  std::printf("sharpness at 8 steps: grain %.2f, plain %.2f, clean %.2f\n", grain, plain, clean);
  EXPECT_GE(grain / clean, 1.3);
  EXPECT_GE(grain / plain, 1.14);  // of its square, the variance, 30 %
}

/// Four to eight steps draw about as much detail as there is, and stay closer to it than bicubic.
/// (On the validation pictures it is more, see the model card; these crops hold more than most.)
TEST_F(ShippedWords, SeveralStepsAreAsSharpAsThePicture) {
  double truth = 0, bicubic = 0;
  for (const Scene &s : pictures) {
    truth += sharpness(s.high_res) / double(pictures.size());
    const auto enlarge = resampling_matrix(36, 144, Kernel::cubic);
    bicubic += psnr_y(quantised(enlarge.matmul(s.low_res).matmul(enlarge.t())), s.high_res) /
               double(pictures.size());
  }
  for (const unsigned steps : {4, 8}) {
    const double share = sharpness(prompt("", steps)) / truth,
                 gain = psnr({}, prompt("", steps)) - bicubic;
    std::printf("%u steps: sharpness %.2f of the picture's, %+.2f dB\n", steps, share, gain);
    EXPECT_GE(share, 0.6);
    EXPECT_LE(share, 1.2);
    EXPECT_GE(gain, 0.3);
  }
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
  double gain;  ///< in dB; on the validation pictures it is 0.26, 0.35 and 1.56
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
                         testing::Values(Fault{"jpeg", {0, 0, Kernel::cubic, 0, 30}, 0.15},
                                         Fault{"noisy", {0, 0, Kernel::cubic, 10, 0}, 0.2},
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
