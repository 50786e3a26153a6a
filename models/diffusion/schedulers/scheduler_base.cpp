#include "diffusion/schedulers/scheduler_base.h"

#include <cmath>

namespace livepeer {

SchedulerBase::SchedulerBase(const Config &config, const std::string &default_spacing,
                             bool knows_zero_snr)
    : timestep_spacing_(config.get("timestep_spacing", default_spacing)),
      steps_offset_(config.get<int64_t>("steps_offset", 0)) {
  const NoiseSchedule schedule(config, knows_zero_snr);
  const float *values = schedule.alphas_cumprod.data_ptr<float>();
  alphas_cumprod_.assign(values, values + schedule.size());

  const auto refuse = [&](const std::string &problem) {
    throw Error(ErrorKind::open_read,
                "The scheduler configuration " + config.origin() + " " + problem);
  };
  if (timestep_spacing_ != "linspace" && timestep_spacing_ != "leading" &&
      timestep_spacing_ != "trailing")
    refuse("has the unknown timestep_spacing '" + timestep_spacing_ +
           "'; supported are linspace, leading and trailing.");
  if (steps_offset_ < 0 || steps_offset_ >= train_timesteps())
    refuse("has a steps_offset outside of its timesteps.");
  const auto prediction = config.get<std::string>("prediction_type", "epsilon");
  if (prediction == "epsilon")
    prediction_ = Prediction::epsilon;
  else if (prediction == "v_prediction")
    prediction_ = Prediction::v_prediction;
  else if (prediction == "sample")
    prediction_ = Prediction::sample;
  else
    refuse("has the unknown prediction_type '" + prediction +
           "'; supported are epsilon, v_prediction and sample.");
  for (const char *key :
       {"thresholding", "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas"})
    if (config.get(key, false))
      refuse(std::string("asks for ") + key + ", which is not supported.");
}

void SchedulerBase::check_steps(int num_inference_steps) const {
  if (num_inference_steps < 1 || num_inference_steps > train_timesteps())
    throw Error(ErrorKind::settings, "The model was trained with " +
                                         std::to_string(train_timesteps()) +
                                         " timesteps; set steps to a number from 1 to that, not " +
                                         std::to_string(num_inference_steps) + ".");
}

std::vector<double> SchedulerBase::spaced_timesteps(int count, bool rounded) const {
  check_steps(count);
  const double last = double(train_timesteps() - 1);
  std::vector<double> result;
  for (int i = 0; i < count; i++) {
    double t;
    if (timestep_spacing_ == "linspace") {
      const int position = count - 1 - i;
      t = position == count - 1 && count > 1 ? last : position * (last / std::max(count - 1, 1));
      if (rounded) t = std::nearbyint(t);
    } else if (timestep_spacing_ == "leading") {
      t = double((count - 1 - i) * (train_timesteps() / count) + steps_offset_);
      if (t > last)
        throw Error(ErrorKind::settings, "The scheduler's steps_offset leaves no room for " +
                                             std::to_string(count) +
                                             " steps; ask for fewer steps.");
    } else {
      t = std::nearbyint(double(train_timesteps()) - i * (double(train_timesteps()) / count)) - 1;
    }
    result.push_back(t);
  }
  return result;
}

double SchedulerBase::clip_range(const Config &config) {
  return config.get("clip_sample", true) ? config.get("clip_sample_range", 1.0) : 0.0;
}

double SchedulerBase::alpha(double timestep, double final_alpha) const {
  return timestep < 0 ? final_alpha : double(alphas_cumprod_.at(size_t(timestep)));
}

LinearMap SchedulerBase::original_sample(double alpha) const {
  const double signal = std::sqrt(alpha);
  const double noise = std::sqrt(1 - alpha);
  switch (prediction_) {
    case Prediction::sample:
      return {0, 1};
    case Prediction::v_prediction:
      return {signal, -noise};
    case Prediction::epsilon:
      break;
  }
  if (alpha == 0)
    throw Error(ErrorKind::settings,
                "A network that predicts the noise cannot start from pure noise; its scheduler "
                "must not combine prediction_type epsilon with rescale_betas_zero_snr.");
  return {1 / signal, -noise / signal};
}

LinearMap SchedulerBase::epsilon(double alpha) const {
  const double signal = std::sqrt(alpha);
  const double noise = std::sqrt(1 - alpha);
  switch (prediction_) {
    case Prediction::sample:
      return {1 / noise, -signal / noise};
    case Prediction::v_prediction:
      return {noise, signal};
    case Prediction::epsilon:
      break;
  }
  return {0, 1};
}

torch::Tensor draw_normal(at::IntArrayRef shape, const at::Generator &generator) {
  return torch::randn(shape, generator, torch::dtype(torch::kFloat32).device(generator.device()));
}

}  // namespace livepeer
