#include "safety/mobilenet_v2_safety_classifier.h"

#include <torch/utils.h>

#include <algorithm>
#include <cmath>

namespace livepeer {
namespace {

constexpr int size = MobileNetV2::image_size;

/// Where an output pixel lies between two input pixels when the corner pixels of both pictures
/// coincide.
struct Between {
  int low, high;
  float fraction;
  Between(int index, int in) {
    const double place = double(index) * (in - 1) / (size - 1);
    low = int(place);
    high = std::min(low + 1, in - 1);
    fraction = float(place - low);
  }
};

/// The whole picture, bilinear, aspect ratio ignored, as [1, 3, size, size] in [0, 1]. Reads only
/// the four pixels around each point: a large frame costs no more than a small one.
torch::Tensor resize_with_aligned_corners(const Frame &frame) {
  auto result = torch::empty({1, 3, size, size});
  float *const out = result.data_ptr<float>();
  const auto mix = [](float a, float b, float fraction) { return a + (b - a) * fraction; };
  for (int y = 0; y < size; ++y) {
    const Between v(y, frame.height);
    const uint8_t *const top = frame.row(v.low), *const bottom = frame.row(v.high);
    for (int x = 0; x < size; ++x) {
      const Between h(x, frame.width);
      for (int c = 0; c < 3; ++c) {
        const int left = h.low * 3 + c, right = h.high * 3 + c;
        const float value = mix(mix(top[left], top[right], h.fraction),
                                mix(bottom[left], bottom[right], h.fraction), v.fraction);
        out[(c * size + y) * size + x] = value / 255;
      }
    }
  }
  return result;
}

}  // namespace

MobileNetV2SafetyClassifier::MobileNetV2SafetyClassifier(const Config &config,
                                                         const ParameterScope &scope)
    : labels_(config.require<std::vector<std::string>>("labels")),
      threshold_(config.require<double>("threshold")),
      network_(scope, int64_t(labels_.size())) {
  if (!(threshold_ >= 0 && threshold_ <= 1))
    throw Error(ErrorKind::open_read,
                "In " + config.origin() + ", threshold must be between 0 and 1.", config.origin());
  for (const auto &label : config.require<std::vector<std::string>>("flagged_labels")) {
    const auto found = std::find(labels_.begin(), labels_.end(), label);
    if (found == labels_.end())
      throw Error(ErrorKind::open_read,
                  "In " + config.origin() + ", flagged_labels names \"" + label +
                      "\", which is none of the labels.",
                  config.origin());
    flagged_.push_back(size_t(found - labels_.begin()));
  }
}

std::vector<float> MobileNetV2SafetyClassifier::probabilities(const Frame &high_res) const {
  const torch::InferenceMode guard;
  const auto picture = resize_with_aligned_corners(high_res).to(network_.device());
  const auto result = network_.forward(picture).to(torch::kCPU).contiguous();
  const float *const first = result.data_ptr<float>();
  return {first, first + result.numel()};
}

SafetyVerdict MobileNetV2SafetyClassifier::check(const Frame &high_res) const {
  const auto probability = probabilities(high_res);
  SafetyVerdict verdict;
  for (const size_t index : flagged_) verdict.score += probability[index];
  verdict.nsfw = verdict.score >= threshold_;
  return verdict;
}

}  // namespace livepeer
