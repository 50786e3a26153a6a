#include <cmath>

#include "diffusion/schedulers/scheduler_base.h"
#include "diffusion/schedulers/schedulers.h"

namespace livepeer {
namespace {

/// Song et al. 2021, "Denoising diffusion implicit models", equation 12.
class DDIMScheduler : public SchedulerBase {
 public:
  DDIMScheduler(const Config &config, double eta)
      : SchedulerBase(config, "leading"),
        final_alpha_(config.get("set_alpha_to_one", true) ? 1.0 : double(alphas_cumprod_[0])),
        clip_range_(clip_range(config)),
        eta_(eta) {}

  void set_timesteps(int num_inference_steps) override {
    timesteps_ = spaced_timesteps(num_inference_steps, true);
    stride_ = train_timesteps() / num_inference_steps;
  }

  bool adds_noise() const override { return eta_ > 0; }

  torch::Tensor step(const torch::Tensor &model_output, size_t index, const torch::Tensor &sample,
                     const at::Generator &generator) override {
    const double a = alpha(timesteps_.at(index), final_alpha_);
    const double a_prev = alpha(timesteps_[index] - double(stride_), final_alpha_);
    const double variance = a_prev < 1 ? (1 - a_prev) / (1 - a) * (1 - a / a_prev) : 0;
    const double sigma = eta_ * std::sqrt(variance);
    const double direction = std::sqrt(std::max(1 - a_prev - sigma * sigma, 0.0));

    const LinearMap x0 = original_sample(a);
    const LinearMap eps = epsilon(a);
    torch::Tensor previous;
    if (clip_range_ > 0)
      previous = x0(sample, model_output)
                     .clamp_(-clip_range_, clip_range_)
                     .mul_(std::sqrt(a_prev))
                     .add_(eps(sample, model_output), direction);
    else
      previous = (std::sqrt(a_prev) * x0 + direction * eps)(sample, model_output);
    if (eta_ > 0) previous.add_(draw_normal(sample.sizes(), generator).to(sample.device()), sigma);
    return previous;
  }

 private:
  double final_alpha_;
  double clip_range_;
  double eta_;
  int64_t stride_ = 0;
};

}  // namespace

std::unique_ptr<Scheduler> make_ddim_scheduler(const Config &config, double eta) {
  return std::make_unique<DDIMScheduler>(config, eta);
}

}  // namespace livepeer
