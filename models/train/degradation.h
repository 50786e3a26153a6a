#pragma once

#include <torch/types.h>

#include <random>

namespace livepeer::train {

constexpr int64_t scale = 4;  ///< of a high-resolution side to a low-resolution one

enum class Kernel { box, triangle, cubic, lanczos };

/// [out, in] float32: antialiased resampling of a line of `in` pixels to `out`, rows summing to one
/// (pixels beyond the ends are left out, as Pillow and torch's antialiased interpolation do).
/// The cubic kernel has a = -0.5.
torch::Tensor resampling_matrix(int64_t in, int64_t out, Kernel kernel);
/// [size, size] float32: Gaussian blur of a line, rows summing to one; identity for sigma 0.
torch::Tensor blur_matrix(int64_t size, double sigma);
/// `pictures` [..., h, w] shrunk by 4 with an antialiased kernel.
torch::Tensor shrink(const torch::Tensor &pictures, Kernel kernel);
/// Rounds [0, 1] values to 8 bits.
torch::Tensor quantised(const torch::Tensor &pictures);

/// Drawn from `random`, not from torch's generator.
torch::Tensor gaussian_noise(at::IntArrayRef shape, double deviation, std::mt19937_64 &random);

/// How one low-resolution picture comes about.
struct Degradation {
  double blur_x = 0, blur_y = 0;  ///< Gaussian sigma in high-resolution pixels
  Kernel kernel = Kernel::cubic;
  double noise = 0;      ///< standard deviation, of 255
  int jpeg_quality = 0;  ///< 0: not compressed

  /// Plain antialiased bicubic.
  bool none() const {
    return blur_x == 0 && blur_y == 0 && noise == 0 && jpeg_quality == 0 && kernel == Kernel::cubic;
  }
  /// What cameras, scalers and codecs do; each with its own probability.
  static Degradation draw(std::mt19937_64 &random);
  /// Noise, compression or both: faults that show in the picture. (Another kernel or a little blur
  /// does not, and to expect it costs fidelity on clean input.) Light ones: strong noise is for the
  /// word to name, which would add nothing if it went away by itself.
  static Degradation draw_visible(std::mt19937_64 &random);
};

/// `high_res` [3, 4h, 4w] in [0, 1] made into [3, h, w], quantised to 8 bits.
torch::Tensor degrade(const torch::Tensor &high_res, const Degradation &degradation,
                      std::mt19937_64 &random);

}  // namespace livepeer::train
