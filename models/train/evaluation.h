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

struct EvaluationSettings {
  std::vector<int> steps = {1, 2, 4, 8};
  double noise_temperature = 1;
  std::string prompt;
  bool bfloat16 = true;  ///< else float32
};

/// Bicubic and Lanczos enlargement, and the snapshot in `folder` at each number of steps, with seed
/// 0, no guidance and noise level 0.
std::vector<EvaluationRow> evaluate(const std::string &folder, const std::vector<Picture> &pictures,
                                    const EvaluationSettings &settings);

}  // namespace livepeer::train
