#include <cmath>
#include <deque>

#include "diffusion/schedulers/scheduler_base.h"
#include "diffusion/schedulers/schedulers.h"

namespace livepeer {
namespace {

/// Liu et al. 2022, "Pseudo numerical methods for diffusion models on manifolds": three Runge-Kutta
/// steps of four evaluations (unless skip_prk_steps), then linear multistep. Without Runge-Kutta
/// the first step is done twice, the second time with the mean of both noise estimates.
class PNDMScheduler : public SchedulerBase {
 public:
  explicit PNDMScheduler(const Config &config)
      : SchedulerBase(config, "leading", false),
        final_alpha_(config.get("set_alpha_to_one", false) ? 1.0 : double(alphas_cumprod_[0])),
        skip_prk_(config.get("skip_prk_steps", false)) {}

  std::unique_ptr<Scheduler> clone() const override {
    return std::make_unique<PNDMScheduler>(*this);
  }
  void set_timesteps(int num_inference_steps) override {
    const std::vector<double> plain = spaced_timesteps(num_inference_steps, true);
    stride_ = train_timesteps() / num_inference_steps;
    history_.clear();
    timesteps_.clear();
    prk_evaluations_ = 0;
    if (skip_prk_) {
      timesteps_ = plain;
      if (plain.size() > 1) timesteps_.insert(timesteps_.begin() + 1, plain[1]);
      return;
    }
    constexpr size_t order = 4;
    if (plain.size() < order)
      throw Error(ErrorKind::settings, "This model's PNDM scheduler needs at least 4 steps.");
    for (size_t i = 0; i + 1 < order; i++) {
      const double middle = plain[i + 1] + double(stride_ / 2);
      timesteps_.insert(timesteps_.end(), {plain[i], middle, middle, plain[i + 1]});
    }
    prk_evaluations_ = timesteps_.size();
    timesteps_.insert(timesteps_.end(), plain.begin() + order - 1, plain.end());
  }

  torch::Tensor step(const torch::Tensor &model_output, size_t index, const torch::Tensor &sample,
                     const at::Generator &) override {
    if (index < prk_evaluations_) return step_prk(model_output, index, sample);
    return step_plms(model_output, index, sample);
  }

 private:
  torch::Tensor step_prk(const torch::Tensor &output, size_t index, const torch::Tensor &sample) {
    constexpr double weights[] = {1.0 / 6, 1.0 / 3, 1.0 / 3, 1.0 / 6};
    const size_t stage = index % 4;
    const double start = timesteps_.at(index - stage);
    if (stage == 0) {
      start_sample_ = sample;
      sum_ = torch::zeros_like(output);
      history_.push_front(output);
    }
    sum_.add_(output, weights[stage]);
    const double target = timesteps_[index] - (index % 2 ? 0.0 : double(stride_ / 2));
    return transfer(start_sample_, start, target, stage == 3 ? sum_ : output);
  }

  torch::Tensor step_plms(const torch::Tensor &output, size_t index, const torch::Tensor &sample) {
    const double t = timesteps_.at(index);
    const auto stride = double(stride_);
    const bool repeated = skip_prk_ && index == 1;
    if (repeated) return transfer(start_sample_, t + stride, t, (output + history_[0]) / 2);

    history_.push_front(output);
    if (history_.size() > 4) history_.pop_back();
    const auto &e = history_;
    torch::Tensor estimate = output;
    if (e.size() == 1)
      start_sample_ = sample;
    else if (e.size() == 2)
      estimate = (3 * e[0] - e[1]) / 2;
    else if (e.size() == 3)
      estimate = (23 * e[0] - 16 * e[1] + 5 * e[2]) / 12;
    else
      estimate = (55 * e[0] - 59 * e[1] + 37 * e[2] - 9 * e[3]) / 24;
    return transfer(sample, t, t - stride, estimate);
  }

  /// Equation 9 of the paper: `sample` at timestep `from` moved to timestep `to`.
  torch::Tensor transfer(const torch::Tensor &sample, double from, double to,
                         const torch::Tensor &output) const {
    const double a = alpha(from, final_alpha_);
    const double b = alpha(to, final_alpha_);
    const double divisor = a * std::sqrt(1 - b) + std::sqrt(a * (1 - a) * b);
    const LinearMap identity{1, 0};
    return (std::sqrt(b / a) * identity + (a - b) / divisor * epsilon(a))(sample, output);
  }

  double final_alpha_;
  bool skip_prk_;
  int64_t stride_ = 0;
  size_t prk_evaluations_ = 0;
  std::deque<torch::Tensor> history_;  ///< outputs, the newest first
  torch::Tensor start_sample_, sum_;
};

}  // namespace

std::unique_ptr<Scheduler> make_pndm_scheduler(const Config &config) {
  return std::make_unique<PNDMScheduler>(config);
}

}  // namespace livepeer
