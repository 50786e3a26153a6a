#pragma once

#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/picture.h"

namespace livepeer::test {

/// A picture of the sample pack, or a part of one, and what nsfwjs says of it.
struct GoldenPicture {
  std::string name;
  Frame frame;
  std::vector<double> probabilities;
};

/// The entries of tests/golden/nsfw_samples.json, in its order. `root` is the source tree.
inline std::vector<GoldenPicture> read_golden_pictures(const std::string &root) {
  std::ifstream file(root + "/tests/golden/nsfw_samples.json");
  const auto golden = nlohmann::json::parse(file);
  std::vector<GoldenPicture> pictures;
  for (const auto &entry : golden.at("pictures")) {
    const std::string name = entry.at("file");
    Frame frame = read_picture(root + "/examples/samples/" + name);
    if (entry.contains("crop")) {
      const std::array<int, 4> area = entry["crop"];
      frame = crop(frame, {area[0], area[1], area[2], area[3]});
    }
    pictures.push_back({entry.contains("crop") ? name + " " + entry["crop"].dump() : name,
                        std::move(frame), entry.at("probabilities")});
  }
  return pictures;
}

}  // namespace livepeer::test
