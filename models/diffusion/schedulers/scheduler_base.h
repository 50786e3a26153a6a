#pragma once

#include "diffusion/noise_schedule.h"
#include "diffusion/schedulers/scheduler.h"

namespace livepeer {

/// Coefficients of a linear map of a sample x_t and the network's output.
struct LinearMap {
  double sample = 0;
  double output = 0;
  torch::Tensor operator()(const torch::Tensor &x, const torch::Tensor &out) const {
    return x.mul(sample).add_(out, output);
  }
};

inline LinearMap operator*(double a, const LinearMap &m) { return {a * m.sample, a * m.output}; }
inline LinearMap operator+(const LinearMap &a, const LinearMap &b) {
  return {a.sample + b.sample, a.output + b.output};
}

/// What all samplers share: the noise schedule, the meaning of the network's output, the spacing of
/// timesteps. A sampler serves one job: it is made anew for each, as some keep a history.
class SchedulerBase : public Scheduler {
 public:
  const std::vector<double> &timesteps() const override { return timesteps_; }
  double init_noise_sigma() const override { return 1; }
  torch::Tensor scale_model_input(const torch::Tensor &sample, size_t) const override {
    return sample;
  }

 protected:
  /// `default_spacing` is the class's own where the config has no timestep_spacing;
  /// `knows_zero_snr`: whether the class reads rescale_betas_zero_snr (else it is ignored).
  SchedulerBase(const Config &config, const std::string &default_spacing,
                bool knows_zero_snr = true);

  /// `count` values, falling, spaced as the config says. `rounded` false: linspace keeps fractions.
  std::vector<double> spaced_timesteps(int count, bool rounded) const;
  void check_steps(int num_inference_steps) const;
  /// Half the range that estimates of x_0 are clamped to; 0 where clip_sample is false.
  static double clip_range(const Config &config);
  int64_t train_timesteps() const { return int64_t(alphas_cumprod_.size()); }
  /// alphas_cumprod[t], and `final_alpha` before the first timestep.
  double alpha(double timestep, double final_alpha) const;
  /// x_0 and the noise as linear maps of x_t and the output, where x_t has the signal's variance
  /// `alpha` of 1.
  LinearMap original_sample(double alpha) const;
  LinearMap epsilon(double alpha) const;

  std::vector<float> alphas_cumprod_;
  std::string timestep_spacing_;
  int64_t steps_offset_;
  std::vector<double> timesteps_;

 private:
  enum class Prediction { epsilon, v_prediction, sample };
  Prediction prediction_;
};

/// Standard normal noise like `sample`, drawn in float32 on the generator's device, so that a seed
/// gives the same noise whatever device the network runs on.
torch::Tensor draw_normal(at::IntArrayRef shape, const at::Generator &generator);

}  // namespace livepeer
