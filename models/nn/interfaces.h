#pragma once

#include <torch/types.h>

#include <optional>

namespace livepeer {

/// What a prompt becomes: `hidden` [batch, tokens, channels] for cross-attention, `pooled`
/// [batch, channels] (the state at the end-of-text token) for conditioning by vector.
struct TextEmbeddings {
  torch::Tensor hidden;
  torch::Tensor pooled;
};

/// What the deep layers made in one evaluation, for the next ones to take (DeepCache, Ma et al.
/// 2023).
struct DeepFeatures {
  /// Where the way past the deep layers begins, as the Python package counts: 3 level + layer.
  int64_t branch = 0;
  /// Set by the network; undefined: the deep layers are to be computed.
  torch::Tensor value;
};

/// The network of the `unet` folder, whatever its class.
class Denoiser {
 public:
  virtual ~Denoiser() = default;
  /// Predicts epsilon, v or x0 (the scheduler's prediction_type) for `sample` [batch, in_channels,
  /// h, w]: the scaled latent followed by the (noised) low-resolution image on the channel axis.
  /// `timesteps` [batch] float, `class_labels` [batch] int64: the noise level of the low-resolution
  /// image. Returns [batch, latent_channels, h, w].
  virtual torch::Tensor forward(const torch::Tensor &sample, const torch::Tensor &timesteps,
                                const TextEmbeddings &text, const torch::Tensor &class_labels) = 0;
  /// The same, with the deep layers' part out of `deep`, or into it where it has none yet. `deep`
  /// is of one batch size and one of deep_branches().
  virtual torch::Tensor forward_past(DeepFeatures &, const torch::Tensor &sample,
                                     const torch::Tensor &timesteps, const TextEmbeddings &text,
                                     const torch::Tensor &class_labels) {
    return forward(sample, timesteps, text, class_labels);
  }
  /// How many branches lead past deep layers; 0: the network has none.
  virtual int64_t deep_branches() const { return 0; }
  virtual int64_t in_channels() const = 0;
  /// Reach of one evaluation in latent pixels; nullopt: unbounded (attention, group norm).
  virtual std::optional<int64_t> receptive_radius() const = 0;
};

/// The network (or fixed transform) of the `vae` folder, whatever its class.
class Vae {
 public:
  virtual ~Vae() = default;
  /// `latents` [batch, latent_channels, h, w], already divided by scaling_factor; `low_res`
  /// [batch, 3, h, w] in [-1, 1] as the denoiser saw it (only residual decoders use it).
  /// Returns [batch, 3, 4h, 4w], not clamped.
  virtual torch::Tensor decode(const torch::Tensor &latents, const torch::Tensor &low_res) = 0;
  /// decode() before the x4 pixel shuffle that ends the network: [batch, 48, h, w]. Undefined where
  /// none does. Saves passes over the picture, which is packed right out of this layout.
  virtual torch::Tensor decode_unshuffled(const torch::Tensor &, const torch::Tensor &) {
    return {};
  }
  virtual int64_t latent_channels() const = 0;
  virtual double scaling_factor() const = 0;
  virtual std::optional<int64_t> receptive_radius() const = 0;
};

}  // namespace livepeer
