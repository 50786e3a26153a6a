#include "safety/stable_diffusion_safety_checker.h"

#include <torch/utils.h>

#include <algorithm>
#include <cmath>

#include "nn/output_observer.h"

namespace livepeer {
namespace {

/// The checker of Stable Diffusion has these; the files do not say.
constexpr int64_t concept_count = 17, special_count = 3;
constexpr double adjustment_for_special_care = 0.01;

Config vision_config(const Config &config) {
  if (!config.has("vision_config") || !config.json()["vision_config"].is_object())
    config.fail("vision_config", "is missing");
  return {config.json()["vision_config"], config.origin()};
}

int64_t projection_dim(const Config &config) {
  const auto dim = config.get<int64_t>("projection_dim", 512);
  if (dim < 1 || dim > 1 << 16) config.fail("projection_dim", "is out of range");
  return dim;
}

/// To three decimal places, halves to even.
double rounded(double value) { return std::nearbyint(value * 1000) / 1000; }

/// Margins of float32 cosines over float32 thresholds in double precision. `adjust` sees each and
/// returns what is added to the next ones.
template <typename Adjust>
std::vector<double> margins(const torch::Tensor &cosines, const torch::Tensor &thresholds,
                            double adjustment, Adjust adjust) {
  const auto a = cosines.to(torch::kDouble).cpu().contiguous(),
             b = thresholds.to(torch::kDouble).cpu().contiguous();
  std::vector<double> result;
  for (int64_t i = 0; i < a.numel(); ++i) {
    const double margin = rounded(a.data_ptr<double>()[i] - b.data_ptr<double>()[i] + adjustment);
    adjustment = adjust(i, margin, adjustment);
    result.push_back(margin);
  }
  return result;
}

}  // namespace

SafetyScores score_safety(const torch::Tensor &special_cosines,
                          const torch::Tensor &special_thresholds, const torch::Tensor &cosines,
                          const torch::Tensor &thresholds) {
  SafetyScores scores;
  scores.special = margins(special_cosines, special_thresholds, 0,
                           [&](int64_t i, double margin, double adjustment) {
                             if (!(margin > 0)) return adjustment;
                             scores.special_care.push_back(i);
                             return adjustment_for_special_care;
                           });
  scores.concepts =
      margins(cosines, thresholds, scores.special_care.empty() ? 0 : adjustment_for_special_care,
              [&](int64_t i, double margin, double adjustment) {
                if (margin > 0) scores.bad_concepts.push_back(i);
                return adjustment;
              });
  return scores;
}

torch::Tensor concept_cosines(const torch::Tensor &a, const torch::Tensor &b) {
  const auto normalized = [](const torch::Tensor &x) {
    return x / x.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12);
  };
  return at::matmul(normalized(a), normalized(b).t());
}

StableDiffusionSafetyChecker::StableDiffusionSafetyChecker(const Config &config,
                                                           const Config &processor,
                                                           const ParameterScope &scope)
    : processor_(processor),
      // The prefix appears twice in the files.
      vision_model_(vision_config(config), scope / "vision_model"),
      visual_projection_(scope / "visual_projection",
                         vision_config(config).require<int64_t>("hidden_size"),
                         projection_dim(config), /*has_bias=*/false),
      concept_embeds_(scope.get("concept_embeds", {concept_count, projection_dim(config)})),
      concept_thresholds_(scope.get("concept_embeds_weights", {concept_count})),
      special_care_embeds_(
          scope.get("special_care_embeds", {special_count, projection_dim(config)})),
      special_care_thresholds_(scope.get("special_care_embeds_weights", {special_count})) {}

SafetyVerdict StableDiffusionSafetyChecker::check(const Frame &high_res) const {
  const torch::NoGradGuard no_grad;
  const auto scores = score(embed(processor_(high_res)));
  return {!scores.bad_concepts.empty(),
          *std::max_element(scores.concepts.begin(), scores.concepts.end())};
}

torch::Tensor StableDiffusionSafetyChecker::embed(const torch::Tensor &pixels) const {
  const auto pooled = vision_model_(pixels.to(concept_embeds_.device()));
  OutputObserver::report("pooler_output", pooled);
  return visual_projection_(pooled);
}

SafetyScores StableDiffusionSafetyChecker::score(const torch::Tensor &embedding) const {
  return score_safety(concept_cosines(embedding, special_care_embeds_), special_care_thresholds_,
                      concept_cosines(embedding, concept_embeds_), concept_thresholds_);
}

}  // namespace livepeer
