#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>

#include <atomic>

#include "nn/interfaces.h"

namespace livepeer::test {

inline torch::Tensor seeded(at::IntArrayRef shape, uint64_t seed, double scale) {
  return torch::randn(shape, at::detail::createCPUGenerator(seed)) * scale;
}

/// Weighted sum of the 3x3 neighbours of each value; `weight` [channels, 9]. Made of elementwise
/// operations: torch's own convolutions round differently for small and large pictures.
inline torch::Tensor mix_neighbours(const torch::Tensor &x, const torch::Tensor &weight) {
  const torch::Tensor padded = at::constant_pad_nd(x, {1, 1, 1, 1});
  torch::Tensor sum = torch::zeros_like(x);
  for (int64_t tap = 0; tap < 9; tap++)
    sum = sum + padded.narrow(2, tap / 3, x.size(2)).narrow(3, tap % 3, x.size(3)) *
                    weight.select(1, tap).view({1, -1, 1, 1});
  return sum;
}

/// Reaches one pixel. The prompt and the noise level shift its result.
class SmallDenoiser : public Denoiser {
 public:
  explicit SmallDenoiser(bool bounded = true) : bounded_(bounded) {}
  torch::Tensor forward(const torch::Tensor &sample, const torch::Tensor &timesteps,
                        const TextEmbeddings &text, const torch::Tensor &class_labels) override {
    ++calls;
    last_batch = sample.size(0);
    const torch::Tensor shift = text.pooled.mean(1) + timesteps / 5000 + class_labels / 5000.0;
    const torch::Tensor mixed = mix_neighbours(sample, weight_);
    return (mixed.narrow(1, 0, 4) + mixed.narrow(1, 3, 4)).clamp(-1, 1) + shift.view({-1, 1, 1, 1});
  }
  int64_t in_channels() const override { return 7; }
  std::optional<int64_t> receptive_radius() const override {
    return bounded_ ? std::optional<int64_t>(1) : std::nullopt;
  }

  std::atomic<int> calls{0};
  std::atomic<int64_t> last_batch{0};

 private:
  bool bounded_;
  torch::Tensor weight_ = seeded({7, 9}, 1, 0.2);
};

/// The neighbours mixed, a pixel shuffle, plus the low-resolution picture.
class SmallVae : public Vae {
 public:
  explicit SmallVae(bool bounded = true) : bounded_(bounded) {}
  torch::Tensor decode(const torch::Tensor &latents, const torch::Tensor &low_res) override {
    return at::pixel_shuffle(mix_neighbours(latents.repeat({1, 12, 1, 1}), weight_), 4) +
           low_res.repeat_interleave(4, 2).repeat_interleave(4, 3);
  }
  int64_t latent_channels() const override { return 4; }
  double scaling_factor() const override { return 0.5; }
  std::optional<int64_t> receptive_radius() const override {
    return bounded_ ? std::optional<int64_t>(1) : std::nullopt;
  }

 private:
  bool bounded_;
  torch::Tensor weight_ = seeded({48, 9}, 2, 0.1);
};

}  // namespace livepeer::test
