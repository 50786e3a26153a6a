#include <array>
#include <cmath>
#include <deque>

#include "diffusion/schedulers/schedulers.h"
#include "diffusion/schedulers/sigma_scheduler.h"

namespace livepeer {
namespace {

/// Linear multistep of order 4 in sigma.
class LMSDiscreteScheduler : public SigmaScheduler {
 public:
  explicit LMSDiscreteScheduler(const Config &config) : SigmaScheduler(config, false, true) {}

  std::unique_ptr<Scheduler> clone() const override {
    return std::make_unique<LMSDiscreteScheduler>(*this);
  }
  void set_timesteps(int num_inference_steps) override {
    SigmaScheduler::set_timesteps(num_inference_steps);
    derivatives_.clear();
  }

  torch::Tensor step(const torch::Tensor &model_output, size_t index, const torch::Tensor &sample,
                     const at::Generator &) override {
    constexpr size_t order = 4;
    derivatives_.push_front(derivative(model_output, sample, sigmas_.at(index)));
    if (derivatives_.size() > order) derivatives_.pop_back();
    torch::Tensor previous = sample.clone();
    for (size_t i = 0; i < derivatives_.size(); i++)
      previous.add_(derivatives_[i], coefficient(index, i));
    return previous;
  }

 private:
  /// The integral over this step of the Lagrange polynomial that is 1 at the i-th last sigma and 0
  /// at the others of the history; two Gauss-Legendre nodes are exact for its degree of at most 3.
  double coefficient(size_t index, size_t i) const {
    const auto basis = [&](double sigma) {
      double product = 1;
      for (size_t k = 0; k < derivatives_.size(); k++)
        if (k != i)
          product *= (sigma - sigmas_[index - k]) / (sigmas_[index - i] - sigmas_[index - k]);
      return product;
    };
    const double half = (sigmas_[index + 1] - sigmas_[index]) / 2;
    const double middle = sigmas_[index] + half;
    const double node = half / std::sqrt(3.0);
    return half * (basis(middle - node) + basis(middle + node));
  }

  std::deque<torch::Tensor> derivatives_;  ///< the newest first
};

}  // namespace

std::unique_ptr<Scheduler> make_lms_discrete_scheduler(const Config &config) {
  return std::make_unique<LMSDiscreteScheduler>(config);
}

}  // namespace livepeer
