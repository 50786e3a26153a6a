#include "diffusion/schedulers/sigma_scheduler.h"

#include <algorithm>
#include <cmath>

namespace livepeer {

std::vector<float> training_sigmas(const std::vector<float> &alphas_cumprod) {
  std::vector<float> sigmas;
  for (float alpha : alphas_cumprod) {
    const float a = alpha > 0 ? alpha : std::ldexp(1.0f, -24);
    sigmas.push_back(std::sqrt((1 - a) / a));
  }
  return sigmas;
}

std::vector<double> interpolated_sigmas(const std::vector<float> &training,
                                        const std::vector<double> &timesteps) {
  std::vector<double> sigmas;
  for (double t : timesteps) {
    const auto below = size_t(t);
    const size_t above = std::min(below + 1, training.size() - 1);
    const double low = training.at(below);
    sigmas.push_back(float(low + (t - double(below)) * (double(training[above]) - low)));
  }
  return sigmas;
}

std::vector<double> karras_sigmas(double sigma_max, double sigma_min, size_t count) {
  constexpr double rho = 7;
  const double high = std::pow(sigma_max, 1 / rho);
  const double low = std::pow(sigma_min, 1 / rho);
  std::vector<double> sigmas;
  for (size_t i = 0; i < count; i++)
    sigmas.push_back(
        std::pow(high + (count > 1 ? double(i) / double(count - 1) : 0) * (low - high), rho));
  return sigmas;
}

double sigma_to_timestep(const std::vector<float> &training, double sigma) {
  const auto upper = std::lower_bound(training.begin(), training.end(), sigma);
  const size_t above = std::clamp<size_t>(size_t(upper - training.begin()), 1, training.size() - 1);
  const double low = std::log(double(training[above - 1]));
  const double high = std::log(double(training[above]));
  const double weight = (std::log(std::max(sigma, 1e-10)) - low) / (high - low);
  return double(above - 1) + std::clamp(weight, 0.0, 1.0);
}

static std::optional<double> optional_number(const Config &config, const std::string &key) {
  if (!config.has(key)) return {};
  return config.require<double>(key);
}

SigmaScheduler::SigmaScheduler(const Config &config, bool knows_zero_snr, bool knows_karras)
    : SchedulerBase(config, "linspace", knows_zero_snr),
      karras_(knows_karras && config.get("use_karras_sigmas", false)),
      sigma_min_(optional_number(config, "sigma_min")),
      sigma_max_(optional_number(config, "sigma_max")),
      ends_at_zero_(config.get<std::string>("final_sigmas_type", "zero") == "zero") {
  const auto interpolation = config.get<std::string>("interpolation_type", "linear");
  const auto timestep_type = config.get<std::string>("timestep_type", "discrete");
  if (interpolation != "linear" || timestep_type != "discrete")
    throw Error(ErrorKind::open_read, "The scheduler configuration " + config.origin() +
                                          " asks for " + interpolation + " interpolation and " +
                                          timestep_type +
                                          " timesteps; supported are linear and discrete.");
}

void SigmaScheduler::set_timesteps(int num_inference_steps) {
  const std::vector<float> training = training_sigmas(alphas_cumprod_);
  timesteps_ = spaced_timesteps(num_inference_steps, false);
  // diffusers keeps these timesteps in float32
  for (double &t : timesteps_) t = float(t);
  sigmas_ = interpolated_sigmas(training, timesteps_);
  if (karras_) {
    sigmas_ = karras_sigmas(sigma_max_.value_or(sigmas_.front()),
                            sigma_min_.value_or(sigmas_.back()), sigmas_.size());
    for (size_t i = 0; i < sigmas_.size(); i++) {
      timesteps_[i] = float(sigma_to_timestep(training, sigmas_[i]));
      sigmas_[i] = float(sigmas_[i]);
    }
  }
  sigmas_.push_back(ends_at_zero_ ? 0.0 : double(training.front()));
}

double SigmaScheduler::init_noise_sigma() const {
  const double largest = *std::max_element(sigmas_.begin(), sigmas_.end());
  return timestep_spacing_ == "leading" ? std::sqrt(largest * largest + 1) : largest;
}

torch::Tensor SigmaScheduler::scale_model_input(const torch::Tensor &sample, size_t index) const {
  const double sigma = sigmas_.at(index);
  return sample / std::sqrt(sigma * sigma + 1);
}

torch::Tensor SigmaScheduler::derivative(const torch::Tensor &model_output,
                                         const torch::Tensor &sample, double sigma) const {
  const double alpha = 1 / (sigma * sigma + 1);
  const LinearMap x0 = original_sample(alpha);
  return LinearMap{(1 - std::sqrt(alpha) * x0.sample) / sigma, -x0.output / sigma}(sample,
                                                                                   model_output);
}

}  // namespace livepeer
