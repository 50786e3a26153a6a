#pragma once

#include <string>
#include <vector>

#include "io/config.h"
#include "safety/mobilenet_v2.h"
#include "safety/safety_checker.h"

namespace livepeer {

/// The built-in checker (models/default-safety/README.md): a picture is flagged where the
/// probabilities of the config's `flagged_labels` add up to `threshold` or more; that sum is the
/// score. The numbers are those of the npm package nsfwjs for the same pixels.
class MobileNetV2SafetyClassifier : public SafetyChecker {
 public:
  /// Config keys: labels (what the network tells apart), flagged_labels (some of them), threshold
  /// (0 .. 1). Throws Error{open_read}.
  MobileNetV2SafetyClassifier(const Config &config, const ParameterScope &scope);

  SafetyVerdict check(const Frame &high_res) const override;
  /// In the order of labels(); they add up to 1.
  std::vector<float> probabilities(const Frame &high_res) const;
  const std::vector<std::string> &labels() const { return labels_; }

 private:
  std::vector<std::string> labels_;
  std::vector<size_t> flagged_;  ///< indices into labels_
  double threshold_;
  MobileNetV2 network_;
};

}  // namespace livepeer
