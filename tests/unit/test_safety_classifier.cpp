// The built-in safety classifier: its numbers, its rule, its folder.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "safety/golden_pictures.h"
#include "safety/mobilenet_v2_safety_classifier.h"
#include "support/temporary_folder.h"

namespace livepeer {
namespace {

using test::TemporaryFolder;

const std::string root = SOURCE_ROOT;
const std::string shipped = root + "/models/default-safety";

const MobileNetV2SafetyClassifier &classifier() {
  static const auto checker = load_safety_checker(shipped);
  return dynamic_cast<const MobileNetV2SafetyClassifier &>(*checker);
}

/// A copy of the shipped folder whose config.json `change` may change.
template <typename Change>
void copy_shipped(const TemporaryFolder &folder, Change &&change) {
  for (const char *name : {"config.json", "model.safetensors"})
    std::filesystem::copy_file(shipped + "/" + name, folder / name);
  auto config = nlohmann::json::parse(test::read_file(folder / "config.json"));
  change(config);
  test::write_file(folder / "config.json", config.dump());
}

/// What loading `folder` complains of; empty where it loads.
std::string complaint(const TemporaryFolder &folder) {
  try {
    load_safety_checker(folder.path());
  } catch (const Error &error) {
    EXPECT_TRUE(error.kind() == ErrorKind::open_read || error.kind() == ErrorKind::not_found);
    return error.what();
  }
  return {};
}

Frame gradient(int width, int height) {
  Frame frame(width, height);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width * 3; ++x) frame.row(y)[x] = uint8_t(x * 5 + y * 3);
  return frame;
}

TEST(SafetyClassifier, ProbabilitiesAreThoseOfNsfwjs) {
  const auto pictures = test::read_golden_pictures(root);
  ASSERT_GE(pictures.size(), 10u);
  const std::vector<std::string> labels = {"Drawing", "Hentai", "Neutral", "Porn", "Sexy"};
  ASSERT_EQ(classifier().labels(), labels);
  for (const auto &picture : pictures) {
    SCOPED_TRACE(picture.name);
    const auto probabilities = classifier().probabilities(picture.frame);
    ASSERT_EQ(probabilities.size(), picture.probabilities.size());
    for (size_t i = 0; i < probabilities.size(); ++i)
      EXPECT_NEAR(probabilities[i], picture.probabilities[i], 1e-3) << classifier().labels()[i];
  }
}

TEST(SafetyClassifier, HarmlessSamplesPass) {
  for (const auto &picture : test::read_golden_pictures(root)) {
    const auto verdict = classifier().check(picture.frame);
    EXPECT_FALSE(verdict.nsfw) << picture.name << ": " << verdict.score;
  }
}

TEST(SafetyClassifier, ScoreIsTheSumOfTheFlaggedLabelsAndTheThresholdDecides) {
  const Frame picture = test::read_picture(root + "/examples/samples/cat.png");
  const auto probabilities = classifier().probabilities(picture);
  const auto &labels = classifier().labels();
  const auto of = [&](const char *label) {
    return probabilities[size_t(std::find(labels.begin(), labels.end(), label) - labels.begin())];
  };
  EXPECT_NEAR(classifier().check(picture).score, of("Hentai") + of("Porn"), 1e-6);

  // The same picture, by what a harmless label gives it: just above and just below.
  const double score = of("Neutral") + of("Drawing");
  for (const double step : {-0.01, 0.01}) {
    const TemporaryFolder folder;
    copy_shipped(folder, [&](auto &config) {
      config["flagged_labels"] = {"Neutral", "Drawing"};
      config["threshold"] = score + step;
    });
    const auto verdict = load_safety_checker(folder.path())->check(picture);
    EXPECT_NEAR(verdict.score, score, 1e-6);
    EXPECT_EQ(verdict.nsfw, step < 0);
  }
}

TEST(SafetyClassifier, TakesAnySize) {
  for (const auto &[width, height] :
       {std::pair(1, 1), {1, 7}, {2, 2}, {5, 1}, {223, 225}, {225, 223}, {4096, 3}}) {
    SCOPED_TRACE(std::to_string(width) + "x" + std::to_string(height));
    const auto probabilities = classifier().probabilities(gradient(width, height));
    EXPECT_NEAR(std::accumulate(probabilities.begin(), probabilities.end(), 0.0), 1, 1e-5);
    EXPECT_GE(*std::min_element(probabilities.begin(), probabilities.end()), 0);
  }
}

TEST(SafetyClassifier, OneColourIsOneColourAtAnySize) {
  Frame small(1, 1), large(301, 57);
  std::fill(small.pixels.begin(), small.pixels.end(), uint8_t(90));
  std::fill(large.pixels.begin(), large.pixels.end(), uint8_t(90));
  EXPECT_EQ(classifier().probabilities(small), classifier().probabilities(large));
}

TEST(SafetyClassifier, IncompleteAndDamagedFoldersAreRefused) {
  {
    const TemporaryFolder folder;
    EXPECT_NE(complaint(folder), "");
  }
  const auto with_config = [](auto &&change) {
    const TemporaryFolder folder;
    copy_shipped(folder, change);
    return complaint(folder);
  };
  EXPECT_EQ(with_config([](auto &) {}), "");
  EXPECT_NE(with_config([](auto &c) { c["_class_name"] = "ResNet"; }).find("ResNet"),
            std::string::npos);
  EXPECT_NE(with_config([](auto &c) { c["flagged_labels"] = {"Cats"}; }).find("Cats"),
            std::string::npos);
  EXPECT_NE(with_config([](auto &c) { c["threshold"] = 1.5; }).find("threshold"),
            std::string::npos);
  EXPECT_NE(with_config([](auto &c) { c.erase("threshold"); }).find("threshold"),
            std::string::npos);
  EXPECT_NE(with_config([](auto &c) { c["labels"].push_back("Sixth"); }).find("dense_3.weight"),
            std::string::npos);

  const TemporaryFolder folder;
  copy_shipped(folder, [](auto &) {});
  const auto weights = folder / "model.safetensors";
  std::filesystem::resize_file(weights, std::filesystem::file_size(weights) - 1);
  EXPECT_NE(complaint(folder), "");
  std::filesystem::remove(weights);
  EXPECT_NE(complaint(folder).find("model.safetensors"), std::string::npos);
}

TEST(SafetyChecker, TheGivenFolderComesBeforeTheSnapshotsOwnBeforeTheBuiltIn) {
  const TemporaryFolder given, bare, complete, installed;
  const auto choice = [&](const std::string &safety_model, const TemporaryFolder &snapshot) {
    return find_safety_checker(safety_model, Snapshot(snapshot.path()));
  };
  const std::string config = R"({"_class_name": "MobileNetV2SafetyClassifier"})";
  test::write_file(given / "config.json", config);
  test::write_file(bare / "model_index.json", R"({"safety_checker": [null, null]})");
  test::write_file(complete / "model_index.json",
                   R"({"safety_checker": ["a", "MobileNetV2SafetyClassifier"]})");
  test::write_file(complete / "safety_checker/config.json", config);
  setenv("LIVEPEER_UPSCALE_MODELS", installed.path().c_str(), 1);

  const std::string own = std::filesystem::canonical(complete.path()) / "safety_checker";
  EXPECT_EQ(choice(given.path(), complete), given.path());
  EXPECT_EQ(choice("", complete), own);
  try {
    choice("", bare);
    ADD_FAILURE() << "no built-in checker is installed";
  } catch (const Error &error) {
    EXPECT_EQ(error.kind(), ErrorKind::not_found);
    EXPECT_NE(std::string(error.what()).find("safety-check"), std::string::npos);
  }
  test::write_file(installed / "default-safety/config.json", config);
  EXPECT_EQ(choice("", bare), installed / "default-safety");
  unsetenv("LIVEPEER_UPSCALE_MODELS");
}

}  // namespace
}  // namespace livepeer
