#pragma once

#include "io/config.h"
#include "nn/interfaces.h"
#include "nn/vae/vae_coder.h"

namespace livepeer {

/// What the encoder makes of an image: a normal distribution for each latent value.
struct LatentDistribution {
  torch::Tensor mean, logvar;  ///< [batch, latent_channels, h / f, w / f]; logvar in [-30, 20]

  torch::Tensor std_deviation() const { return (0.5 * logvar).exp(); }
  /// With `noise` of the same shape from the standard normal distribution.
  torch::Tensor sample(const torch::Tensor &noise) const { return mean + std_deviation() * noise; }
};

/// The convolutional autoencoder of diffusers (AutoencoderKL). Parameters have the names of its
/// state dict; the deprecated names of the attention are taken too.
class AutoencoderKL : public Vae {
 public:
  /// `with_encoder` false: its parameters are left where they are. Throws Error{open_read} for
  /// configurations that it cannot evaluate.
  AutoencoderKL(const Config &config, const ParameterScope &scope, bool with_encoder = true);

  /// Computes in the type of the weights, returns the type of `latents`.
  torch::Tensor decode(const torch::Tensor &latents, const torch::Tensor &low_res) override;
  /// Of `image` [batch, in_channels, h, w] in [-1, 1]; float32. Only with an encoder.
  LatentDistribution encode(const torch::Tensor &image) const;
  int64_t latent_channels() const override { return latent_channels_; }
  double scaling_factor() const override { return scaling_factor_; }
  std::optional<int64_t> receptive_radius() const override { return std::nullopt; }

 private:
  int64_t latent_channels_;
  double scaling_factor_;
  std::optional<VaeEncoder> encoder_;
  VaeDecoder decoder_;
  std::optional<Conv2d> quant_conv_, post_quant_conv_;
};

}  // namespace livepeer
