#include <cmath>

#include "diffusion/schedulers/schedulers.h"
#include "diffusion/schedulers/sigma_scheduler.h"

namespace livepeer {
namespace {

/// Euler to a lower sigma than asked for, then noise up to the one asked for.
class EulerAncestralDiscreteScheduler : public SigmaScheduler {
 public:
  explicit EulerAncestralDiscreteScheduler(const Config &config)
      : SigmaScheduler(config, true, false) {}

  std::unique_ptr<Scheduler> clone() const override {
    return std::make_unique<EulerAncestralDiscreteScheduler>(*this);
  }
  bool adds_noise() const override { return true; }

  torch::Tensor step(const torch::Tensor &model_output, size_t index, const torch::Tensor &sample,
                     const at::Generator &generator) override {
    const double from = sigmas_.at(index) * sigmas_[index];
    const double to = sigmas_[index + 1] * sigmas_[index + 1];
    const double up = to * (from - to) / from;
    const double down = std::sqrt(to - up);
    return derivative(model_output, sample, sigmas_[index])
        .mul_(down - sigmas_[index])
        .add_(sample)
        .add_(draw_normal(sample.sizes(), generator).to(sample.device()), std::sqrt(up));
  }
};

}  // namespace

std::unique_ptr<Scheduler> make_euler_ancestral_discrete_scheduler(const Config &config) {
  return std::make_unique<EulerAncestralDiscreteScheduler>(config);
}

}  // namespace livepeer
