#pragma once

#include <torch/types.h>

#include "io/config.h"

namespace livepeer {

/// The forward process q(x_t | x_0) of a scheduler config, in the float32 arithmetic of diffusers:
/// x_t = sqrt(alphas_cumprod[t]) x_0 + sqrt(1 - alphas_cumprod[t]) noise.
struct NoiseSchedule {
  /// Reads num_train_timesteps, beta_start, beta_end, beta_schedule (linear, scaled_linear,
  /// squaredcos_cap_v2), trained_betas and rescale_betas_zero_snr; missing keys take the defaults
  /// all scheduler classes share. Throws Error{open_read} for values no schedule can be made of.
  /// `knows_zero_snr` false: of a class without rescale_betas_zero_snr, which ignores the key.
  explicit NoiseSchedule(const Config &config, bool knows_zero_snr = true);

  int64_t size() const { return betas.size(0); }
  /// x_t [batch, ...] for `timesteps` [batch] int64 (or [1]: the same for all), in x_0's type.
  torch::Tensor add_noise(const torch::Tensor &sample, const torch::Tensor &noise,
                          const torch::Tensor &timesteps) const;
  /// What a v-prediction network learns: sqrt(a_t) noise - sqrt(1 - a_t) x_0; same shapes.
  torch::Tensor velocity(const torch::Tensor &sample, const torch::Tensor &noise,
                         const torch::Tensor &timesteps) const;

  torch::Tensor betas;           ///< [num_train_timesteps] float32
  torch::Tensor alphas_cumprod;  ///< [num_train_timesteps] float32
};

}  // namespace livepeer
