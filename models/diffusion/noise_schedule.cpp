#include "diffusion/noise_schedule.h"

#include <cmath>

namespace livepeer {
namespace {

/// torch.linspace in float32 as PyTorch 2 rounds it, from both ends; libtorch 1.13 rounds
/// otherwise.
torch::Tensor linspace(double start, double end, int64_t steps) {
  const float first = float(start), last = float(end), step = (last - first) / float(steps - 1);
  std::vector<float> values;
  for (int64_t i = 0; i < steps; i++)
    values.push_back(i < steps / 2 ? std::fma(step, float(i), first)
                                   : std::fma(-step, float(steps - 1 - i), last));
  return torch::tensor(values);
}

torch::Tensor squared_cosine_betas(int64_t steps) {
  const auto alpha_bar = [](double t) {
    const double c = std::cos((t + 0.008) / 1.008 * M_PI / 2);
    return c * c;
  };
  std::vector<float> betas;
  for (int64_t i = 0; i < steps; i++) {
    const double beta = 1 - alpha_bar(double(i + 1) / steps) / alpha_bar(double(i) / steps);
    betas.push_back(float(std::min(beta, 0.999)));
  }
  return torch::tensor(betas);
}

/// Shifts and scales sqrt(alphas_cumprod) so that the last step carries no signal at all (Lin et
/// al. 2023, "Common diffusion noise schedules and sample steps are flawed", algorithm 1).
torch::Tensor rescale_zero_terminal_snr(const torch::Tensor &betas) {
  torch::Tensor root = (1 - betas).cumprod(0).sqrt();
  const torch::Tensor first = root[0].clone();
  const torch::Tensor last = root[-1].clone();
  root = (root - last) * (first / (first - last));
  const torch::Tensor bar = root.pow(2);
  return 1 - torch::cat({bar.slice(0, 0, 1), bar.slice(0, 1) / bar.slice(0, 0, -1)});
}

torch::Tensor make_betas(const Config &config) {
  const auto refuse = [&](const std::string &problem) {
    throw Error(ErrorKind::open_read, "The noise schedule of " + config.origin() + " " + problem);
  };
  if (config.has("trained_betas")) {
    const auto values = config.require<std::vector<float>>("trained_betas");
    if (values.empty()) refuse("has an empty trained_betas list.");
    return torch::tensor(values);
  }
  const auto steps = config.get<int64_t>("num_train_timesteps", 1000);
  if (steps < 2 || steps > 1000000) refuse("needs num_train_timesteps between 2 and 1000000.");
  const auto start = config.get<double>("beta_start", 0.0001);
  const auto end = config.get<double>("beta_end", 0.02);
  if (!(start >= 0 && end >= start && end < 1)) refuse("needs 0 <= beta_start <= beta_end < 1.");

  const auto kind = config.get<std::string>("beta_schedule", "linear");
  if (kind == "linear") return linspace(start, end, steps);
  if (kind == "scaled_linear") return linspace(std::sqrt(start), std::sqrt(end), steps).pow(2);
  if (kind == "squaredcos_cap_v2") return squared_cosine_betas(steps);
  refuse("has the unknown beta_schedule '" + kind +
         "'; supported are linear, scaled_linear and squaredcos_cap_v2.");
  return {};
}

}  // namespace

NoiseSchedule::NoiseSchedule(const Config &config, bool knows_zero_snr)
    : betas(make_betas(config)) {
  if (knows_zero_snr && config.get("rescale_betas_zero_snr", false))
    betas = rescale_zero_terminal_snr(betas);
  alphas_cumprod = (1 - betas).cumprod(0);
}

/// The two factors of the forward process, shaped to broadcast over `like`.
static std::pair<torch::Tensor, torch::Tensor> factors(const torch::Tensor &alphas_cumprod,
                                                       const torch::Tensor &timesteps,
                                                       const torch::Tensor &like) {
  const torch::Tensor alpha =
      alphas_cumprod.index_select(0, timesteps.to(alphas_cumprod.device())).to(like.options());
  std::vector<int64_t> shape(size_t(like.dim()), 1);
  shape[0] = alpha.size(0);
  return {alpha.sqrt().view(shape), (1 - alpha).sqrt().view(shape)};
}

torch::Tensor NoiseSchedule::add_noise(const torch::Tensor &sample, const torch::Tensor &noise,
                                       const torch::Tensor &timesteps) const {
  const auto [signal, sigma] = factors(alphas_cumprod, timesteps, sample);
  return signal * sample + sigma * noise;
}

torch::Tensor NoiseSchedule::velocity(const torch::Tensor &sample, const torch::Tensor &noise,
                                      const torch::Tensor &timesteps) const {
  const auto [signal, sigma] = factors(alphas_cumprod, timesteps, sample);
  return signal * noise - sigma * sample;
}

}  // namespace livepeer
