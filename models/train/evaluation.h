#pragma once

#include <string>
#include <vector>

#include "train/picture_set.h"
#include "train/sampler.h"

namespace livepeer::train {

/// Means over a set of pictures, each shrunk and enlarged again.
struct Quality {
  double psnr_y = 0;       ///< dB, luma, against the original
  double sharpness = 0;    ///< mean absolute Laplacian of the luma, of the original's
  double texture = 0;      ///< mean square of the Laplacian, of the original's
  double consistency = 0;  ///< dB: the result shrunk again against the input
};

struct EvaluationRow {
  std::string name;
  Quality quality;
};

/// What `evaluate` measures.
enum class EvaluationTable {
  steps,   ///< bicubic, Lanczos, and the snapshot at several numbers of steps, on clean input
  faults,  ///< input with each fault: Lanczos, and the snapshot plain, at noise levels, by the word
  words    ///< every known word against the empty prompt, on clean input
};

struct EvaluationSettings {
  EvaluationTable table = EvaluationTable::steps;
  std::vector<int> steps = {1, 2, 4, 8};  ///< the other tables use the first one
  /// Where given: a folder of PNG files, called as the pictures, to enlarge instead of what
  /// shrinking makes of them (the frames of a compressed video, say).
  std::string inputs;
  SamplerSettings sampler;
};

std::vector<EvaluationRow> evaluate(Sampler &sampler, const std::vector<Picture> &pictures,
                                    const EvaluationSettings &settings);

}  // namespace livepeer::train
