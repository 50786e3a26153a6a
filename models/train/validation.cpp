#include "train/validation.h"

#include <torch/utils.h>

#include <cmath>

#include "train/degradation.h"

namespace livepeer::train {
namespace {

torch::Tensor without_border(const torch::Tensor &plane, int64_t border) {
  return plane.narrow(1, border, plane.size(1) - 2 * border)
      .narrow(2, border, plane.size(2) - 2 * border);
}

}  // namespace

torch::Tensor luma(const torch::Tensor &picture) {
  const auto p = quantised(picture).to(torch::kDouble);
  return 16 + 65.481 * p.select(1, 0) + 128.553 * p.select(1, 1) + 24.966 * p.select(1, 2);
}

double psnr_y(const torch::Tensor &a, const torch::Tensor &b, int64_t border) {
  const auto difference = without_border(luma(a) - luma(b), border);
  return 10 * std::log10(255.0 * 255.0 / difference.square().mean().item<double>());
}

torch::Tensor reference_planes(const Picture &picture) {
  const int64_t height = picture.pixels.size(0) / 4 * 4, width = picture.pixels.size(1) / 4 * 4;
  return planes(picture.pixels.narrow(0, 0, height).narrow(1, 0, width));
}

ValidationResult validate(const std::vector<Picture> &pictures, Denoiser &denoiser,
                          AutoencoderPixelShuffle &vae, int64_t last_timestep,
                          torch::Device device) {
  torch::NoGradGuard no_grad;
  ValidationResult sum;
  const auto timestep = torch::full({1}, double(last_timestep), device);
  const auto level = torch::zeros({1}, torch::TensorOptions(torch::kLong).device(device));
  for (const Picture &picture : pictures) {
    const auto high_res = reference_planes(picture).to(device);
    const auto low_res = (quantised(shrink(high_res.cpu(), Kernel::cubic)) * 2 - 1).to(device);
    const auto latent =
        torch::zeros({1, vae.latent_channels(), low_res.size(2), low_res.size(3)}, device);
    // All noise, no signal: v = -x0.
    const auto x0 = -denoiser.forward(torch::cat({latent, low_res}, 1), timestep, {}, level);
    sum.model += psnr_y(vae.decode(x0 / vae.scaling_factor(), low_res) / 2 + 0.5, high_res);
    sum.bicubic += psnr_y(vae.decode(latent, low_res) / 2 + 0.5, high_res);
  }
  const auto count = double(pictures.size());
  return {sum.bicubic / count, sum.model / count};
}

}  // namespace livepeer::train
