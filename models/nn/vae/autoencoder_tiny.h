#pragma once

#include <vector>

#include "io/config.h"
#include "nn/interfaces.h"
#include "nn/layers.h"

namespace livepeer {

/// The small autoencoder of diffusers (AutoencoderTiny): convolutions and ReLU only.
class AutoencoderTiny : public Vae {
 public:
  /// Throws Error{open_read} for configurations that it cannot evaluate.
  AutoencoderTiny(const Config &config, const ParameterScope &scope);

  /// Computes in the type of the weights, returns the type of `latents`.
  torch::Tensor decode(const torch::Tensor &latents, const torch::Tensor &low_res) override;
  /// `image` [batch, in_channels, h, w] in [-1, 1] -> [batch, latent_channels, h / f, w / f].
  torch::Tensor encode(const torch::Tensor &image) const;
  int64_t latent_channels() const override { return latent_channels_; }
  double scaling_factor() const override { return scaling_factor_; }
  std::optional<int64_t> receptive_radius() const override;

 private:
  /// relu(three convolutions of x, with relu between, + x).
  struct Block {
    Block(const ParameterScope &scope, int64_t channels);
    torch::Tensor operator()(const torch::Tensor &x) const;
    std::vector<Conv2d> convolutions;
  };
  /// The blocks of one resolution and the convolution behind them.
  struct Stage {
    std::vector<Block> blocks;
    Conv2d out;
  };

  int64_t latent_channels_;
  double scaling_factor_;
  std::vector<Conv2d> encoder_in_;           ///< one before each stage of blocks
  std::vector<std::vector<Block>> encoder_;  ///< from the image's resolution to the latent's
  std::vector<Conv2d> encoder_out_;
  std::vector<Conv2d> decoder_in_;
  std::vector<Stage> decoder_;
};

}  // namespace livepeer
