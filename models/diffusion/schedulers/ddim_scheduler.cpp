#include <cmath>

#include "diffusion/schedulers/scheduler_base.h"
#include "diffusion/schedulers/schedulers.h"

namespace livepeer {
namespace {

/// Root mean square of a pixel's predicted noise. It should be 1; of 48 channels it scatters by
/// 0.1.
constexpr double largest_noise = 1.05;

/// Song et al. 2021, "Denoising diffusion implicit models", equation 12.
///
/// Few steps lose variance, as each takes the mean of x0 for x0 (Bao et al. 2022, "Analytic-DPM",
/// who put it back as fresh noise). The key posterior_variance, which diffusers does not have,
/// makes the predicted noise larger instead, exactly as much as a Gaussian x0 needs.
class DDIMScheduler : public SchedulerBase {
 public:
  DDIMScheduler(const Config &config, double eta)
      : SchedulerBase(config, "leading"),
        final_alpha_(config.get("set_alpha_to_one", true) ? 1.0 : double(alphas_cumprod_[0])),
        clip_range_(clip_range(config)),
        posterior_variance_(config.get("posterior_variance", 0.0)),
        eta_(eta) {}

  std::unique_ptr<Scheduler> clone() const override {
    return std::make_unique<DDIMScheduler>(*this);
  }
  void set_timesteps(int num_inference_steps) override {
    timesteps_ = spaced_timesteps(num_inference_steps, true);
    stride_ = train_timesteps() / num_inference_steps;
  }

  bool adds_noise() const override { return eta_ > 0; }

  torch::Tensor step(const torch::Tensor &model_output, size_t index, const torch::Tensor &sample,
                     const at::Generator &generator) override {
    const double a = alpha_before(index), a_prev = alpha_after(index);
    const double variance = a_prev < 1 ? (1 - a_prev) / (1 - a) * (1 - a / a_prev) : 0;
    const double sigma = eta_ * std::sqrt(variance);
    const double enlarged = enlargement(index);
    const double direction =
        std::sqrt(std::max((1 - a_prev) * enlarged * enlarged - sigma * sigma, 0.0));

    const LinearMap x0 = original_sample(a);
    const LinearMap eps = epsilon(a);
    torch::Tensor previous;
    if (clip_range_ > 0)
      previous = x0(sample, model_output)
                     .clamp_(-clip_range_, clip_range_)
                     .mul_(std::sqrt(a_prev))
                     .add_(eps(sample, model_output), direction);
    else if (keeps_variance(index)) {
      // Where nothing was lost, as the picture is smooth, what the step before added is left over
      // in this one's noise, and must not grow step by step.
      torch::Tensor noise = eps(sample, model_output);
      const auto size = noise.square().mean(1, /*keepdim=*/true).sqrt_();
      noise.div_(size.div_(largest_noise).clamp_(1, index > 0 ? enlargement(index - 1) : 1));
      previous = x0(sample, model_output).mul_(std::sqrt(a_prev)).add_(noise, direction);
    } else
      previous = (std::sqrt(a_prev) * x0 + direction * eps)(sample, model_output);
    if (eta_ > 0) previous.add_(draw_normal(sample.sizes(), generator).to(sample.device()), sigma);
    return previous;
  }

 private:
  bool keeps_variance(size_t index) const {
    return posterior_variance_ > 0 && index + 1 < timesteps_.size();
  }

  /// The factor for the predicted noise: what leaves a latent whose x0 is Gaussian, of variance
  /// posterior_variance_ around what the picture says, with the variance it must have. The last
  /// step's answer is a mean.
  double enlargement(size_t index) const {
    if (!keeps_variance(index)) return 1;
    const double a = alpha_before(index), a_prev = alpha_after(index), v = posterior_variance_;
    return (std::sqrt((a * v + 1 - a) * (a_prev * v + 1 - a_prev)) - std::sqrt(a * a_prev) * v) /
           std::sqrt((1 - a) * (1 - a_prev));
  }

  double alpha_before(size_t index) const { return alpha(timesteps_.at(index), final_alpha_); }
  double alpha_after(size_t index) const {
    return alpha(timesteps_.at(index) - double(stride_), final_alpha_);
  }

  double final_alpha_;
  double clip_range_;
  double posterior_variance_;
  double eta_;
  int64_t stride_ = 0;
};

}  // namespace

std::unique_ptr<Scheduler> make_ddim_scheduler(const Config &config, double eta) {
  return std::make_unique<DDIMScheduler>(config, eta);
}

}  // namespace livepeer
