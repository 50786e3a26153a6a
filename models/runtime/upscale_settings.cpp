#include "runtime/upscale_settings.h"

#include <cmath>
#include <tuple>

namespace livepeer {
namespace {

/// All but the seed.
auto tie(const UpscaleSettings &s) {
  return std::tie(s.prompt, s.negative_prompt, s.steps, s.guidance_scale, s.noise_level,
                  s.noise_temperature, s.scheduler, s.eta, s.guidance_start, s.guidance_stop,
                  s.cache_interval, s.cache_branch_id, s.temporal, s.safety_check);
}

auto tie(const ModelSpec &s) {
  return std::tie(s.model, s.safety_model, s.device, s.precision, s.safety_check, s.lora,
                  s.embeddings);
}

}  // namespace

std::vector<std::string> UpscaleSettings::validate() const {
  std::vector<std::string> complaints;
  if (steps > 1000) complaints.push_back("steps must be 0 (the model's default) to 1000");
  if (!std::isfinite(guidance_scale))
    complaints.push_back("guidance-scale must be a finite number");
  if (noise_level < -1)
    complaints.push_back("noise-level must be -1 (the model's default) or more");
  if (noise_temperature != -1 && !(noise_temperature >= 0 && noise_temperature <= 1))
    complaints.push_back("noise-temperature must be -1 (the model's default) or 0 to 1");
  if (!(eta >= 0 && eta <= 1)) complaints.push_back("eta must be 0 to 1");
  if (!(guidance_start >= 0 && guidance_start <= 1))
    complaints.push_back("guidance-start must be 0 to 1");
  if (!(guidance_stop >= 0 && guidance_stop <= 1))
    complaints.push_back("guidance-stop must be 0 to 1");
  if (cache_interval < 1) complaints.push_back("cache-interval must be 1 (off) or more");
  return complaints;
}

bool operator==(const UpscaleSettings &a, const UpscaleSettings &b) {
  return a.seed == b.seed && same_but_seed(a, b);
}

bool same_but_seed(const UpscaleSettings &a, const UpscaleSettings &b) { return tie(a) == tie(b); }
bool operator==(const ModelSpec &a, const ModelSpec &b) { return tie(a) == tie(b); }

}  // namespace livepeer
