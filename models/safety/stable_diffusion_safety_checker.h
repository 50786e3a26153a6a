#pragma once

#include <string>
#include <vector>

#include "io/config.h"
#include "nn/clip/clip_vision_model.h"
#include "safety/clip_image_processor.h"
#include "safety/safety_checker.h"

namespace livepeer {

/// What the rule of the safety checker makes of one picture.
struct SafetyScores {
  std::vector<double> special, concepts;  ///< margins over the thresholds, rounded to 3 places
  std::vector<int64_t> special_care;      ///< special concepts whose margin is positive
  std::vector<int64_t> bad_concepts;  ///< concepts whose margin is positive: the picture is flagged
};

/// The rule, from the cosines [n] between the picture and each concept, and the thresholds [n].
/// A picture near a special concept is judged by thresholds that are lower by 0.01.
SafetyScores score_safety(const torch::Tensor &special_cosines,
                          const torch::Tensor &special_thresholds, const torch::Tensor &cosines,
                          const torch::Tensor &thresholds);

/// Cosines of the angles between the rows of `a` [n, d] and those of `b` [m, d]: [n, m].
torch::Tensor concept_cosines(const torch::Tensor &a, const torch::Tensor &b);

/// diffusers' StableDiffusionSafetyChecker with the image processor that prepares pictures for it.
/// float32.
class StableDiffusionSafetyChecker : public SafetyChecker {
 public:
  /// `config`: config.json of the checker, `processor`: preprocessor_config.json. Throws
  /// Error{open_read}.
  StableDiffusionSafetyChecker(const Config &config, const Config &processor,
                               const ParameterScope &scope);

  /// The score is the largest margin of a concept over its threshold: flagged from 0.001 on.
  SafetyVerdict check(const Frame &high_res) const override;
  /// `pixels` [batch, 3, size, size], prepared by CLIPImageProcessor -> [batch, projection_dim].
  torch::Tensor embed(const torch::Tensor &pixels) const;
  /// Of one embedded picture [1, projection_dim].
  SafetyScores score(const torch::Tensor &embedding) const;

  const torch::Tensor &concept_embeds() const { return concept_embeds_; }
  const torch::Tensor &special_care_embeds() const { return special_care_embeds_; }

 private:
  CLIPImageProcessor processor_;
  CLIPVisionModel vision_model_;
  Linear visual_projection_;
  torch::Tensor concept_embeds_, concept_thresholds_;
  torch::Tensor special_care_embeds_, special_care_thresholds_;
};

}  // namespace livepeer
