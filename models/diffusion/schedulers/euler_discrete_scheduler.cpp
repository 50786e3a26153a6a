#include "diffusion/schedulers/schedulers.h"
#include "diffusion/schedulers/sigma_scheduler.h"

namespace livepeer {
namespace {

/// Karras et al. 2022, algorithm 2 without churn and second-order correction.
class EulerDiscreteScheduler : public SigmaScheduler {
 public:
  explicit EulerDiscreteScheduler(const Config &config) : SigmaScheduler(config, true, true) {}

  std::unique_ptr<Scheduler> clone() const override {
    return std::make_unique<EulerDiscreteScheduler>(*this);
  }
  torch::Tensor step(const torch::Tensor &model_output, size_t index, const torch::Tensor &sample,
                     const at::Generator &) override {
    const double sigma = sigmas_.at(index);
    return derivative(model_output, sample, sigma).mul_(sigmas_[index + 1] - sigma).add_(sample);
  }
};

}  // namespace

std::unique_ptr<Scheduler> make_euler_discrete_scheduler(const Config &config) {
  return std::make_unique<EulerDiscreteScheduler>(config);
}

}  // namespace livepeer
