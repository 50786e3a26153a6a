#pragma once

#include "io/config.h"
#include "nn/interfaces.h"

namespace livepeer {

/// The embedded models' `vae`: no weights. A latent is the pixel-unshuffled difference between the
/// high-resolution picture and the bicubic enlargement of the low-resolution one:
/// decode(z, LR) = PixelShuffle4(z) + up(LR). Configuration: scaling_factor and
/// bicubic_coefficient (a of the cubic convolution kernel, -0.5 by default).
class AutoencoderPixelShuffle : public Vae {
 public:
  static constexpr int64_t factor = 4;

  explicit AutoencoderPixelShuffle(const Config &config);

  torch::Tensor decode(const torch::Tensor &latents, const torch::Tensor &low_res) override;
  torch::Tensor decode_unshuffled(const torch::Tensor &latents,
                                  const torch::Tensor &low_res) override;
  /// `high_res` [batch, 3, 4h, 4w] and `low_res` [batch, 3, h, w] in [-1, 1]; returns unscaled
  /// latents [batch, 48, h, w], the inverse of decode.
  torch::Tensor encode(const torch::Tensor &high_res, const torch::Tensor &low_res) const;
  /// Cubic convolution x4 of `low_res` with edges repeated, in the latents' layout
  /// [batch, 48, h, w] (pixel shuffle makes the picture of it).
  torch::Tensor up(const torch::Tensor &low_res) const;

  int64_t latent_channels() const override { return 3 * factor * factor; }
  double scaling_factor() const override { return scaling_factor_; }
  std::optional<int64_t> receptive_radius() const override { return radius; }

 private:
  static constexpr int64_t radius = 2;  ///< 4 taps, left or right of the centre by phase

  double scaling_factor_;
  torch::Tensor kernel_;
};

}  // namespace livepeer
