#pragma once

#include <optional>

#include "diffusion/schedulers/scheduler_base.h"

namespace livepeer {

/// sqrt((1 - alphas_cumprod) / alphas_cumprod) in float32; where the last alpha is zero (zero
/// terminal SNR) it counts as 2^-24, as the sigma would be infinite.
std::vector<float> training_sigmas(const std::vector<float> &alphas_cumprod);
/// training_sigmas at (fractional) timesteps, linear in between.
std::vector<double> interpolated_sigmas(const std::vector<float> &training,
                                        const std::vector<double> &timesteps);
/// Karras et al. 2022, equation 5 with rho = 7, over the range of `sigmas` (falling).
std::vector<double> karras_sigmas(double sigma_max, double sigma_min, size_t count);
/// The fractional timestep of a sigma, linear in log sigma.
double sigma_to_timestep(const std::vector<float> &training, double sigma);

/// What the samplers in sigma space share (Euler, Euler ancestral, LMS): samples are
/// x_0 + sigma noise, and the network sees them divided by sqrt(sigma^2 + 1).
class SigmaScheduler : public SchedulerBase {
 public:
  void set_timesteps(int num_inference_steps) override;
  double init_noise_sigma() const override;
  torch::Tensor scale_model_input(const torch::Tensor &sample, size_t index) const override;

 protected:
  SigmaScheduler(const Config &config, bool knows_zero_snr, bool knows_karras);
  /// (sample - x_0) / sigma, the direction of the probability flow.
  torch::Tensor derivative(const torch::Tensor &model_output, const torch::Tensor &sample,
                           double sigma) const;

  std::vector<double> sigmas_;  ///< one a step, and the last one: 0 or sigma_min

 private:
  bool karras_;
  std::optional<double> sigma_min_, sigma_max_;
  bool ends_at_zero_;
};

}  // namespace livepeer
