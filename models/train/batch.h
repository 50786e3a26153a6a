#pragma once

#include <string>
#include <vector>

#include "diffusion/noise_schedule.h"
#include "train/options.h"
#include "train/picture_set.h"

namespace livepeer::train {

/// Pairs to learn from, in [-1, 1].
struct Batch {
  torch::Tensor high_res;      ///< [batch, 3, 4 patch, 4 patch]
  torch::Tensor low_res;       ///< [batch, 3, patch, patch], degraded and noised to its level
  torch::Tensor noise_levels;  ///< [batch] int64
  std::vector<std::string> prompts;
};

/// Makes batches; batch `index` depends on nothing but the options and `index`, so that a resumed
/// run sees what an uninterrupted one would have seen.
class BatchSource {
 public:
  BatchSource(const Options &options, const PictureSet &pictures,
              const NoiseSchedule &low_res_schedule);
  Batch make(int64_t index) const;

 private:
  const Options &options_;
  const PictureSet &pictures_;
  const NoiseSchedule &low_res_schedule_;
};

/// Seed of one iteration's random numbers.
uint64_t iteration_seed(uint64_t seed, int64_t iteration);

}  // namespace livepeer::train
