#pragma once

#include <string>
#include <vector>

#include "train/picture_set.h"

namespace livepeer::train {

/// Means over a set of pictures, each shrunk by antialiased bicubic and enlarged again.
struct Quality {
  double psnr_y = 0;       ///< dB, luma, against the original
  double sharpness = 0;    ///< mean absolute Laplacian of the luma, of the original's
  double consistency = 0;  ///< dB: the result shrunk again against the input
};

struct EvaluationRow {
  std::string name;
  Quality quality;
};

/// Bicubic and Lanczos enlargement, and the snapshot in `folder` at each number of steps with the
/// given noise temperature, seed 0, empty prompt, noise level 0, in bfloat16 or float32.
std::vector<EvaluationRow> evaluate(const std::string &folder, const std::vector<Picture> &pictures,
                                    const std::vector<int> &steps, double noise_temperature,
                                    bool bfloat16);

}  // namespace livepeer::train
