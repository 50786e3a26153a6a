#include "nn/embedded/autoencoder_pixel_shuffle.h"

#include "kernels/cubic.h"
#include "kernels/dispatch.h"

namespace livepeer {

AutoencoderPixelShuffle::AutoencoderPixelShuffle(const Config &config)
    : scaling_factor_(config.require<double>("scaling_factor")) {
  if (const auto channels = config.get<int64_t>("latent_channels", latent_channels());
      channels != latent_channels())
    config.fail("latent_channels", "must be " + std::to_string(latent_channels()) + ", not " +
                                       std::to_string(channels));
  const auto a = config.get<double>("bicubic_coefficient", -0.5);
  // Weights of the low-resolution pixels -radius..radius for each of the 4 positions inside one.
  const auto taps = torch::empty({factor, 2 * radius + 1}, torch::kDouble);
  for (int64_t phase = 0; phase < factor; ++phase)
    for (int64_t tap = 0; tap <= 2 * radius; ++tap)
      taps[phase][tap] =
          kernels::cubic((double(phase) + 0.5) / double(factor) - 0.5 - double(tap - radius), a);
  const auto plane = torch::einsum("ik,jl->ijkl", {taps, taps})
                         .reshape({factor * factor, 2 * radius + 1, 2 * radius + 1});
  kernel_ = torch::zeros({3, factor * factor, 3, 2 * radius + 1, 2 * radius + 1});
  for (int64_t colour = 0; colour < 3; ++colour) kernel_[colour].select(1, colour).copy_(plane);
  kernel_ = kernel_.flatten(0, 1).contiguous(at::MemoryFormat::ChannelsLast);
}

torch::Tensor AutoencoderPixelShuffle::up(const torch::Tensor &low_res) const {
  const auto padded = at::replication_pad2d(low_res, {radius, radius, radius, radius});
  return kernels::convolve(padded, kernel_.to(low_res.options()), {}, /*stride=*/1, /*padding=*/0);
}

torch::Tensor AutoencoderPixelShuffle::decode(const torch::Tensor &latents,
                                              const torch::Tensor &low_res) {
  return at::pixel_shuffle(decode_unshuffled(latents, low_res), factor);
}

torch::Tensor AutoencoderPixelShuffle::decode_unshuffled(const torch::Tensor &latents,
                                                         const torch::Tensor &low_res) {
  return up(low_res).add_(latents);
}

torch::Tensor AutoencoderPixelShuffle::encode(const torch::Tensor &high_res,
                                              const torch::Tensor &low_res) const {
  return at::pixel_unshuffle(high_res, factor) - up(low_res);
}

}  // namespace livepeer
