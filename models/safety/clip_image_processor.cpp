#include "safety/clip_image_processor.h"

#include <algorithm>

#include "safety/resize_bicubic.h"

namespace livepeer {
namespace {

constexpr int bicubic = 3;  ///< PIL's number for the filter

/// A length, written as a number or as one `entry` of an object.
int length(const Config &config, const std::string &key, const std::string &entry) {
  const bool object = config.has(key) && config.json()[key].is_object();
  const auto value = object ? Config(config.json()[key], config.origin()).require<int64_t>(entry)
                            : config.get<int64_t>(key, 224);
  if (value < 1 || value > 4096) config.fail("\"" + key + "\" is out of range");
  return int(value);
}

std::array<float, 3> triple(const Config &config, const std::string &key,
                            const std::vector<double> &fallback) {
  const auto values = config.get<std::vector<double>>(key, fallback);
  if (values.size() != 3) config.fail("\"" + key + "\" must have three values");
  return {float(values[0]), float(values[1]), float(values[2])};
}

}  // namespace

CLIPImageProcessor::CLIPImageProcessor(const Config &config)
    : shortest_edge_(length(config, "size", "shortest_edge")),
      crop_height_(length(config, "crop_size", "height")),
      crop_width_(length(config, "crop_size", "width")),
      rescale_factor_(config.get<double>("rescale_factor", 1.0 / 255)),
      mean_(triple(config, "image_mean", {0.48145466, 0.4578275, 0.40821073})),
      std_(triple(config, "image_std", {0.26862954, 0.26130258, 0.27577711})) {
  for (const std::string key : {"do_resize", "do_center_crop", "do_rescale", "do_normalize"})
    if (!config.get<bool>(key, true)) config.fail("\"" + key + "\" must be true");
  if (config.get<int64_t>("resample", bicubic) != bicubic)
    config.fail("\"resample\" must be 3 (bicubic)");
  if (std::max(crop_height_, crop_width_) > shortest_edge_)
    config.fail("\"crop_size\" must not be larger than \"size\"");
  for (const float value : std_)
    if (!(value > 0)) config.fail("\"image_std\" must be positive");
}

std::pair<int64_t, int64_t> CLIPImageProcessor::resized(const Frame &frame) const {
  const int shorter = std::min(frame.width, frame.height);
  return {int64_t(shortest_edge_) * frame.width / shorter,
          int64_t(shortest_edge_) * frame.height / shorter};
}

torch::Tensor CLIPImageProcessor::operator()(const Frame &frame) const {
  const auto [width, height] = resized(frame);
  const Frame centre =
      resize_bicubic(frame, width, height,
                     {int((width - crop_width_) / 2), int((height - crop_height_) / 2), crop_width_,
                      crop_height_});
  auto result = torch::empty({1, 3, crop_height_, crop_width_});
  auto *out = result.data_ptr<float>();
  for (size_t channel = 0; channel < 3; ++channel)
    for (int y = 0; y < crop_height_; ++y) {
      const uint8_t *row = centre.row(y) + channel;
      for (int x = 0; x < crop_width_; ++x)
        *out++ = (float(row[x * 3] * rescale_factor_) - mean_[channel]) / std_[channel];
    }
  return result;
}

}  // namespace livepeer
