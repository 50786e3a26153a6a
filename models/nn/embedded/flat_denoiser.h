#pragma once

#include <optional>
#include <vector>

#include "io/config.h"
#include "kernels/conv3x3_fused.h"
#include "nn/interfaces.h"
#include "nn/layers.h"

namespace livepeer {

/// The embedded models' denoiser: one resolution, 3x3 convolutions, no norms, so that tiles with a
/// halo of receptive_radius() pixels that begin at even rows and columns are exact.
///
///   x = conv_in([gate[t] * z_t, LR]);  n times x += conv2(relu(film(conv1(x))));
///   y = relu(conv_mid(x) + conv_in(...));  v = conv_out(y) + conv_skip(y) * gate[t] * z_t
///
/// conv_skip gives one factor for each of the 4x4 places inside a pixel: where the picture is
/// smooth the answer is mostly the noise itself, which so few channels could not carry.
///
/// Per-channel scale and shift (FiLM) of every block come from the timestep, the noise level of the
/// low-resolution image and the pooled prompt. `gate` holds sqrt(alphas_cumprod): at the first step
/// of a zero-terminal-SNR schedule the latent is noise only, and its weight is exactly zero.
///
/// Configuration: in_channels, out_channels, channels, num_blocks, embedding_dim, text_dim,
/// num_train_timesteps. Weights of any floating type; the conditioning runs in float32.
class FlatDenoiser : public Denoiser {
 public:
  FlatDenoiser(const Config &config, const ParameterScope &scope);

  /// As Denoiser::forward; timesteps are rounded to look up the gate. Returns float32. Without
  /// gradients, items are evaluated one by one with gate and FiLM folded into the weights, so a
  /// result does not depend on what else is in the batch.
  torch::Tensor forward(const torch::Tensor &sample, const torch::Tensor &timesteps,
                        const TextEmbeddings &text, const torch::Tensor &class_labels) override;
  int64_t in_channels() const override { return in_channels_; }
  std::optional<int64_t> receptive_radius() const override {
    return 2 * int64_t(blocks_.size()) + 3;
  }

 private:
  struct Block {
    Conv2d conv1, conv2;
  };
  /// The convolutions as inference on a CPU likes them best.
  struct Prepared {
    struct Block {
      kernels::FusedConv3x3 conv1, conv2;
    };
    explicit Prepared(const FlatDenoiser &net);
    kernels::FusedConv3x3 conv_in, conv_picture;  // conv_picture: of the picture's channels only
    std::vector<Block> blocks;
    kernels::FusedConv3x3 conv_mid, conv_out, conv_skip;
  };
  /// Two layers on a sinusoidal embedding of a number.
  struct NumberEmbedding {
    Linear linear_1, linear_2;
    NumberEmbedding(const ParameterScope &scope, int64_t dim);
    torch::Tensor operator()(const torch::Tensor &values) const;
  };

  torch::Tensor with_skip(const torch::Tensor &features, const torch::Tensor &gated_latent) const;
  torch::Tensor film(const torch::Tensor &timesteps, const TextEmbeddings &text,
                     const torch::Tensor &class_labels) const;
  torch::Tensor input_gate(const torch::Tensor &timesteps) const;
  torch::Tensor forward_batch(const torch::Tensor &sample, const torch::Tensor &gate,
                              const torch::Tensor &film) const;
  torch::Tensor forward_one(const torch::Tensor &sample, const torch::Tensor &gate,
                            const torch::Tensor &film) const;
  torch::Tensor forward_prepared(const torch::Tensor &sample, float latent_gate,
                                 const torch::Tensor &film) const;

  int64_t in_channels_, out_channels_, channels_;
  torch::Tensor gate_;
  NumberEmbedding time_embedding_, level_embedding_;
  Linear text_projection_;
  torch::Tensor text_origin_;
  Linear film_;
  Conv2d conv_in_;
  std::vector<Block> blocks_;
  Conv2d conv_mid_, conv_out_, conv_skip_;
  std::optional<Prepared> prepared_;
};

}  // namespace livepeer
