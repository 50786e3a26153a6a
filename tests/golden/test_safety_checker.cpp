#include <cmath>

#include <torch/utils.h>

#include "golden/network_support.h"
#include "safety/resize_bicubic.h"
#include "safety/stable_diffusion_safety_checker.h"
#include "support/picture.h"

namespace livepeer {
namespace {

constexpr double tolerance = 1e-5;

class SafetyCheckerGolden : public testing::Test {
 protected:
  void SetUp() override {
    case_ = golden_case("safety_checker");
    tensors_ = golden_tensors(case_.at("file"));
    std::vector<torch::Tensor> pictures;
    for (const auto &image : case_.at("images"))
      pictures.push_back(tensors_.at(image.at("tensor").get<std::string>() + ".pixel_values"));
    pixel_values_ = torch::stack(pictures);
  }

  Config read_config(const std::string &name) const {
    return Config::read(golden_path(case_.at("model").get<std::string>() + "/" + name));
  }

  std::unique_ptr<StableDiffusionSafetyChecker> checker() const {
    WeightSource source({golden_path(case_.at("model").get<std::string>() + "/model.safetensors")});
    auto result = std::make_unique<StableDiffusionSafetyChecker>(
        read_config("config.json"), read_config("preprocessor_config.json"),
        ParameterScope(source));
    source.finish();
    return result;
  }

  static void expect_scores(const SafetyScores &scores, const nlohmann::json &expected,
                            const std::string &what) {
    const auto list = [&](const char *key) { return expected.at(key).get<std::vector<double>>(); };
    // Both are multiples of 0.001 in double precision.
    expect_equal(scores.special, list("special_scores"), what + " special");
    expect_equal(scores.concepts, list("concept_scores"), what + " concepts");
    EXPECT_EQ(scores.special_care, expected.at("special_care").get<std::vector<int64_t>>()) << what;
    EXPECT_EQ(scores.bad_concepts, expected.at("bad_concepts").get<std::vector<int64_t>>()) << what;
    EXPECT_EQ(!scores.bad_concepts.empty(), expected.at("nsfw").get<bool>()) << what;
  }

  static void expect_equal(const std::vector<double> &actual, const std::vector<double> &expected,
                           const std::string &what) {
    ASSERT_EQ(actual.size(), expected.size()) << what;
    for (size_t i = 0; i < actual.size(); ++i)
      EXPECT_NEAR(actual[i], expected[i], 1e-9) << what << " " << i;
  }

  const torch::NoGradGuard no_grad_;
  nlohmann::json case_;
  std::map<std::string, torch::Tensor> tensors_;
  torch::Tensor pixel_values_;  ///< of all pictures
};

TEST_F(SafetyCheckerGolden, NetworkIsThatOfTransformers) {
  const auto network = checker();
  for (const int count : {1, 2}) {
    const ThreadCount threads(count);
    const auto embeddings = network->embed(pixel_values_);
    expect_close(embeddings, tensors_.at("image_embeds"), tolerance, "image_embeds");
    expect_close(concept_cosines(embeddings, network->concept_embeds()), tensors_.at("cos"),
                 tolerance, "cos");
    expect_close(concept_cosines(embeddings, network->special_care_embeds()),
                 tensors_.at("special_cos"), tolerance, "special_cos");
  }
}

TEST_F(SafetyCheckerGolden, VisionStagesAreThoseOfTransformers) {
  const std::string path = "vision_model.vision_model.";
  const StageComparison stages(
      {{path + "embeddings", tensors_.at("vision.embeddings")},
       {path + "pre_layrnorm", tensors_.at("vision.row0.hidden_states.0")},
       {path + "encoder.layers.0", tensors_.at("vision.row0.hidden_states.1")},
       {path + "encoder.layers.1", tensors_.at("vision.row0.hidden_states.2")},
       {path + "encoder.layers.2", tensors_.at("vision.last_hidden_state.row0")},
       {"pooler_output", tensors_.at("vision.pooler_output").narrow(0, 0, 1)}},
      tolerance);
  checker()->embed(pixel_values_.narrow(0, 0, 1));
  EXPECT_EQ(stages.missed(), std::vector<std::string>());
}

TEST_F(SafetyCheckerGolden, ScoresAndFlagsOfPictures) {
  const auto network = checker();
  const auto embeddings = network->embed(pixel_values_);
  for (size_t i = 0; i < case_.at("per_image").size(); ++i) {
    const auto &expected = case_.at("per_image")[i];
    const std::string picture = case_.at("images")[i].at("input_png");
    expect_scores(network->score(embeddings.narrow(0, int64_t(i), 1)), expected, picture);
    // From the file on: the same flag.
    EXPECT_EQ(network->check(test::read_picture(golden_path(picture))).nsfw,
              expected.at("nsfw").get<bool>())
        << picture;
  }
}

TEST_F(SafetyCheckerGolden, RuleOnCraftedThresholds) {
  EXPECT_GE(case_.at("unit_cases").size(), 12u);
  for (const auto &unit : case_.at("unit_cases")) {
    const int64_t row = unit.at("row");
    const auto thresholds = [&](const char *key) {
      return torch::tensor(unit.at(key).get<std::vector<double>>(), torch::kFloat);
    };
    expect_scores(score_safety(tensors_.at("unit.special_cos")[row], thresholds("special_weights"),
                               tensors_.at("unit.cos")[row], thresholds("concept_weights")),
                  unit, unit.at("name"));
  }
}

TEST_F(SafetyCheckerGolden, CosinesOfCraftedEmbeddings) {
  expect_close(
      concept_cosines(tensors_.at("unit.image_embeds"), tensors_.at("unit.concept_embeds")),
      tensors_.at("unit.cos"), tolerance, "unit.cos");
  expect_close(
      concept_cosines(tensors_.at("unit.image_embeds"), tensors_.at("unit.special_care_embeds")),
      tensors_.at("unit.special_cos"), tolerance, "unit.special_cos");
}

TEST_F(SafetyCheckerGolden, PreprocessingIsThatOfPIL) {
  const CLIPImageProcessor processor(read_config("preprocessor_config.json"));
  for (const auto &image : case_.at("images")) {
    const std::string name = image.at("tensor"), file = image.at("input_png");
    const Frame frame = test::read_picture(golden_path(file));
    const auto &expected = tensors_.at(name + ".resized");
    const auto [width, height] = processor.resized(frame);
    ASSERT_EQ(expected.sizes(), (std::vector<int64_t>{height, width, 3})) << file;
    const Frame resized = resize_bicubic(frame, int(width), int(height));
    EXPECT_EQ(0, std::memcmp(resized.pixels.data(), expected.contiguous().data_ptr(),
                             resized.pixels.size()))
        << file << ": the resized pixels differ";
    expect_close(processor(frame).squeeze(0), tensors_.at(name + ".pixel_values"), 1e-7, file);
  }
}

TEST_F(SafetyCheckerGolden, PreprocessingAtTheRealSize) {
  auto config = read_config("preprocessor_config.json").json();
  config["size"] = {{"shortest_edge", 224}};
  config["crop_size"] = {{"height", 224}, {"width", 224}};
  const CLIPImageProcessor processor({config, "224"});
  const auto pixels =
      processor(test::read_picture(golden_path(case_.at("clip224_input")))).squeeze(0);
  EXPECT_EQ(sha256(pixels.to(torch::kHalf)), case_.at("clip224_sha256"));
}

}  // namespace
}  // namespace livepeer
