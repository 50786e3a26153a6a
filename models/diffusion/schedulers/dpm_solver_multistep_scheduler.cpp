#include <cmath>
#include <deque>

#include "diffusion/schedulers/schedulers.h"
#include "diffusion/schedulers/sigma_scheduler.h"

namespace livepeer {
namespace {

/// Lu et al. 2022, "DPM-Solver++", multistep of order 1, 2 (2M) or 3.
class DPMSolverMultistepScheduler : public SchedulerBase {
 public:
  explicit DPMSolverMultistepScheduler(const Config &config)
      : SchedulerBase(config, "linspace"),
        order_(config.get<int64_t>("solver_order", 2)),
        heun_(choice(config, "solver_type", "midpoint", "heun")),
        lower_order_final_(config.get("lower_order_final", true)),
        euler_at_final_(config.get("euler_at_final", false)),
        karras_(config.get("use_karras_sigmas", false)),
        ends_at_sigma_min_(choice(config, "final_sigmas_type", "zero", "sigma_min")) {
    choice(config, "algorithm_type", "dpmsolver++", "dpmsolver++");
    if (order_ < 1 || order_ > 3)
      throw Error(ErrorKind::open_read, "The scheduler configuration " + config.origin() +
                                            " needs a solver_order of 1, 2 or 3.");
    // diffusers leaves out the noisiest timesteps, those below this; -Infinity: none.
    const double noisiest = -std::log(double(training_sigmas(alphas_cumprod_).back()));
    if (config.has("lambda_min_clipped") && config.require<double>("lambda_min_clipped") > noisiest)
      throw Error(ErrorKind::open_read,
                  "The scheduler configuration " + config.origin() +
                      " has a lambda_min_clipped that leaves timesteps out, which is not "
                      "supported; use -Infinity.");
  }

  std::unique_ptr<Scheduler> clone() const override {
    return std::make_unique<DPMSolverMultistepScheduler>(*this);
  }
  void set_timesteps(int num_inference_steps) override {
    history_.clear();
    const std::vector<float> training = training_sigmas(alphas_cumprod_);
    timesteps_ = solver_timesteps(num_inference_steps);
    std::vector<double> sigmas = interpolated_sigmas(training, timesteps_);
    if (karras_) {
      sigmas = karras_sigmas(training.back(), training.front(), timesteps_.size());
      for (size_t i = 0; i < sigmas.size(); i++)
        timesteps_[i] = std::nearbyint(sigma_to_timestep(training, sigmas[i]));
    }
    sigmas.push_back(ends_at_sigma_min_ ? double(training.front()) : 0.0);
    points_.clear();
    for (double sigma : sigmas) points_.emplace_back(double(float(sigma)));
  }

  torch::Tensor step(const torch::Tensor &model_output, size_t index, const torch::Tensor &sample,
                     const at::Generator &) override {
    const Point &here = points_.at(index);
    history_.push_front(original_sample(here.alpha * here.alpha)(sample, model_output));
    if (history_.size() > size_t(order_)) history_.pop_back();

    const size_t left = timesteps_.size() - 1 - index;
    const bool few_steps = lower_order_final_ && timesteps_.size() < 15;
    auto order = size_t(history_.size());
    if (left == 0 && (euler_at_final_ || few_steps || !ends_at_sigma_min_)) order = 1;
    if (left == 1 && few_steps) order = std::min<size_t>(order, 2);
    return update(sample, index, order);
  }

 private:
  /// A noise level: x = alpha x_0 + sigma noise, lambda = log(alpha / sigma).
  struct Point {
    explicit Point(double ratio)
        : alpha(1 / std::sqrt(ratio * ratio + 1)), sigma(ratio * alpha), lambda(-std::log(ratio)) {}
    double alpha, sigma, lambda;
  };

  static bool choice(const Config &config, const char *key, const char *standard,
                     const char *other) {
    const auto value = config.get<std::string>(key, standard);
    if (value != standard && value != other)
      throw Error(ErrorKind::open_read, "The scheduler configuration " + config.origin() + " has " +
                                            key + " '" + value + "', which is not supported; use " +
                                            standard + ".");
    return value != standard;
  }

  /// One more timestep than asked for is spaced, and the last left out: the solver ends on sigma 0
  /// by itself. Trailing spacing has its end in place already.
  std::vector<double> solver_timesteps(int count) const {
    check_steps(count);
    if (timestep_spacing_ == "trailing") return spaced_timesteps(count, true);
    std::vector<double> all = spaced_timesteps(count + 1, true);
    all.pop_back();
    return all;
  }

  torch::Tensor update(const torch::Tensor &sample, size_t index, size_t order) const {
    const Point &from = points_[index];
    const Point &to = points_[index + 1];
    const double h = to.lambda - from.lambda;
    const double decay = std::expm1(-h);
    const auto &m = history_;
    torch::Tensor next = sample.mul(to.sigma / from.sigma).add_(m[0], -to.alpha * decay);
    if (order == 1) return next;

    const double r0 = (from.lambda - points_[index - 1].lambda) / h;
    const torch::Tensor slope = (m[0] - m[1]).div_(r0);
    const double curve = to.alpha * (decay / h + 1);
    if (order == 2) return next.add_(slope, heun_ ? curve : -0.5 * to.alpha * decay);

    const double r1 = (points_[index - 1].lambda - points_[index - 2].lambda) / h;
    const torch::Tensor bend = slope - (m[1] - m[2]).div_(r1);
    next.add_(slope.add(bend, r0 / (r0 + r1)), curve);
    return next.add_(bend, -to.alpha * ((decay + h) / (h * h) - 0.5) / (r0 + r1));
  }

  int64_t order_;
  bool heun_, lower_order_final_, euler_at_final_, karras_, ends_at_sigma_min_;
  std::vector<Point> points_;
  std::deque<torch::Tensor> history_;  ///< estimates of x_0, the newest first
};

}  // namespace

std::unique_ptr<Scheduler> make_dpm_solver_multistep_scheduler(const Config &config) {
  return std::make_unique<DPMSolverMultistepScheduler>(config);
}

}  // namespace livepeer
