// Writes the pictures of tests/golden/nsfw_samples.json as PPM files 0.ppm, 1.ppm, ... into a
// folder and prints what the built-in safety classifier says of each, as JSON. compare.mjs runs it.
#include <cstdio>

#include "safety/golden_pictures.h"
#include "safety/mobilenet_v2_safety_classifier.h"

int main(int argc, char **argv) {
  using namespace livepeer;
  if (argc != 3) {
    std::fprintf(stderr, "usage: write_golden_pictures <source tree> <folder>\n");
    return 2;
  }
  const std::string root = argv[1], folder = argv[2];
  const auto checker = load_safety_checker(root + "/models/default-safety");
  const auto &classifier = dynamic_cast<const MobileNetV2SafetyClassifier &>(*checker);
  auto result = nlohmann::json::array();
  for (const auto &picture : test::read_golden_pictures(root)) {
    std::ofstream file(folder + "/" + std::to_string(result.size()) + ".ppm", std::ios::binary);
    file << "P6\n" << picture.frame.width << " " << picture.frame.height << "\n255\n";
    file.write(reinterpret_cast<const char *>(picture.frame.pixels.data()),
               std::streamsize(picture.frame.pixels.size()));
    result.push_back(
        {{"name", picture.name}, {"probabilities", classifier.probabilities(picture.frame)}});
  }
  std::puts(result.dump().c_str());
}
