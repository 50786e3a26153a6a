#include <cmath>

#include "diffusion/schedulers/scheduler_base.h"
#include "diffusion/schedulers/schedulers.h"

namespace livepeer {
namespace {

/// Ho et al. 2020, "Denoising diffusion probabilistic models", equations 6 and 7.
class DDPMScheduler : public SchedulerBase {
 public:
  explicit DDPMScheduler(const Config &config)
      : SchedulerBase(config, "leading"), clip_range_(clip_range(config)) {
    const auto variance = config.get<std::string>("variance_type", "fixed_small");
    if (variance != "fixed_small" && variance != "fixed_large")
      throw Error(ErrorKind::open_read, "The scheduler configuration " + config.origin() +
                                            " has the variance_type '" + variance +
                                            "'; supported are fixed_small and fixed_large.");
    large_variance_ = variance == "fixed_large";
  }

  std::unique_ptr<Scheduler> clone() const override {
    return std::make_unique<DDPMScheduler>(*this);
  }
  void set_timesteps(int num_inference_steps) override {
    timesteps_ = spaced_timesteps(num_inference_steps, true);
    stride_ = train_timesteps() / num_inference_steps;
  }

  bool adds_noise() const override { return true; }

  torch::Tensor step(const torch::Tensor &model_output, size_t index, const torch::Tensor &sample,
                     const at::Generator &generator) override {
    const double t = timesteps_.at(index);
    const double a = alpha(t, 1);
    const double a_prev = alpha(t - double(stride_), 1);
    const double step_alpha = a / a_prev;

    const double x0_weight = std::sqrt(a_prev) * (1 - step_alpha) / (1 - a);
    const double sample_weight = std::sqrt(step_alpha) * (1 - a_prev) / (1 - a);
    torch::Tensor x0 = original_sample(a)(sample, model_output);
    if (clip_range_ > 0) x0.clamp_(-clip_range_, clip_range_);
    torch::Tensor previous = x0.mul_(x0_weight).add_(sample, sample_weight);
    if (t > 0) {
      const double small = std::max((1 - a_prev) / (1 - a) * (1 - step_alpha), 1e-20);
      const double variance = large_variance_ ? 1 - step_alpha : small;
      previous.add_(draw_normal(sample.sizes(), generator).to(sample.device()),
                    std::sqrt(variance));
    }
    return previous;
  }

 private:
  double clip_range_;
  bool large_variance_;
  int64_t stride_ = 0;
};

}  // namespace

std::unique_ptr<Scheduler> make_ddpm_scheduler(const Config &config) {
  return std::make_unique<DDPMScheduler>(config);
}

}  // namespace livepeer
