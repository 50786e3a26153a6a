#include <gtest/gtest.h>

#include "diffusion/noise_schedule.h"
#include "diffusion/schedulers/schedulers.h"

// posterior_variance is a key of this project: not compared with diffusers, but with what a
// Gaussian picture's latents must be.

namespace livepeer {
namespace {

/// The embedded model's scheduler, but for that key.
Config config(double posterior_variance) {
  auto keys = Config::read(SOURCE_ROOT "/models/default/scheduler/scheduler_config.json").json();
  keys["posterior_variance"] = posterior_variance;
  return {keys, "scheduler_config.json"};
}

/// The standard deviations of the latent, less what they should be, after each of `steps` but the
/// last; of x0 around 0 with `variance`, and the network that knows it.
std::vector<double> surplus(double posterior_variance, double variance, int steps) {
  const Config values = config(posterior_variance);
  const NoiseSchedule schedule(values);
  const auto scheduler = make_scheduler(values);
  scheduler->set_timesteps(steps);
  // Everything is linear, so one number follows the deviation.
  auto x = torch::ones({1, 1}, torch::kDouble);
  std::vector<double> result;
  for (size_t i = 0; i < scheduler->timesteps().size(); ++i) {
    const auto alpha = [&](size_t step) {
      return schedule.alphas_cumprod[int64_t(scheduler->timesteps()[step])].item<double>();
    };
    const double a = alpha(i), marginal = a * variance + 1 - a;
    const auto x0 = x * (std::sqrt(a) * variance / marginal);
    const auto v = a < 1e-6 ? -x0 : (std::sqrt(a) * x - x0) / std::sqrt(1 - a);
    x = scheduler->step(v, i, x, {});
    if (i + 1 < scheduler->timesteps().size())
      result.push_back(x.item<double>() - std::sqrt(alpha(i + 1) * variance + 1 - alpha(i + 1)));
  }
  return result;
}

TEST(DDIMScheduler, PosteriorVarianceMakesFewStepsSpreadAsWidelyAsMany) {
  for (const int steps : {2, 4, 5, 8, 100})
    for (const double variance : {0.1, 0.4, 2.0})
      for (const double difference : surplus(variance, variance, steps))
        EXPECT_NEAR(difference, 0, 1e-4) << steps << " steps, variance " << variance;
}

TEST(DDIMScheduler, WithoutItFewStepsLoseVariance) {
  EXPECT_LT(surplus(0, 0.4, 4).back(), -0.1);
  EXPECT_GT(surplus(0, 0.4, 500).back(), -0.01);
}

/// Where x0 is certain nothing is lost, and what the steps add must not pile up.
TEST(DDIMScheduler, PosteriorVarianceLeavesSmoothPicturesSmooth) {
  for (const int steps : {4, 8}) EXPECT_LT(surplus(0.6, 0, steps).back(), 0.12) << steps;
}

/// At one step, and at the last one of many, the answer is a mean: nothing to make good.
TEST(DDIMScheduler, OneStepIsTheSameWithIt) {
  const auto noise = torch::randn({4}), output = torch::randn({4});
  const auto one_step = [&](double posterior_variance) {
    const auto scheduler = make_scheduler(config(posterior_variance));
    scheduler->set_timesteps(1);
    return scheduler->step(output, 0, noise, {});
  };
  EXPECT_TRUE(torch::equal(one_step(0), one_step(1)));
}

}  // namespace
}  // namespace livepeer
