#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

#include "nn/embedded/autoencoder_pixel_shuffle.h"
#include "nn/interfaces.h"
#include "train/picture_set.h"

namespace livepeer::train {

/// Luma (ITU-R BT.601, 16..235) of [1, 3, h, w] in [0, 1] rounded to 8 bits: [1, h, w] double.
torch::Tensor luma(const torch::Tensor &picture);
/// Peak signal-to-noise ratio in dB of the luma (ITU-R BT.601) of two [1, 3, h, w] pictures in
/// [0, 1], rounded to 8 bits, without a border of `border` pixels.
double psnr_y(const torch::Tensor &a, const torch::Tensor &b, int64_t border = 4);
/// A picture as [1, 3, h, w] in [0, 1], cut to multiples of 4.
torch::Tensor reference_planes(const Picture &picture);

struct ValidationResult {
  double bicubic = 0, model = 0;  ///< mean PSNR-Y in dB
};

/// One step from pure noise on clean, antialiased bicubic input. Meant for a denoiser in the type
/// it will ship in; runs without gradients.
ValidationResult validate(const std::vector<Picture> &pictures, Denoiser &denoiser,
                          AutoencoderPixelShuffle &vae, int64_t last_timestep,
                          torch::Device device);

}  // namespace livepeer::train
