#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace livepeer::train {

/// What a run is made of; the command line fills it. A resumed run must be given the same values.
struct Options {
  std::string data;        ///< folder of training pictures with manifest.json
  std::string video;       ///< folder of those pictures, shrunk and coded as video, or empty
  std::string validation;  ///< folder of pictures to measure on; empty: none
  std::string out = "checkpoints";
  int64_t channels = 48;
  std::vector<int64_t> blocks = {8, 8};  ///< of each expert
  int64_t batch = 16;
  int64_t patch = 32;  ///< side in low-resolution pixels
  int candidates = 4;  ///< random crops of which the most detailed is taken
  double learning_rate = 2e-3;
  double minutes = 0;      ///< length of the schedule in wall-clock time, resumed runs added up ...
  int64_t stop_after = 0;  ///< > 0: leave after so many iterations of this run, to go on later
  int64_t iterations = 0;  ///< ... or in iterations
  double fidelity_share = 0.65;   ///< of the schedule for the first expert; the rest: texture
  double word_share = 0;          ///< pairs with a prompt; the others learn the empty one
  double noise_free_share = 0.8;  ///< of those, pairs at noise level 0
  double clean_share = 0.9;       ///< of these, pairs made by plain antialiased bicubic
  bool text_learns = true;        ///< the text encoder, with the expert
  int64_t max_noise_level = 350;
  int64_t distinct_batches = 0;  ///< > 0: only so many, over and over (to see it overfit)
  double checkpoint_minutes = 10;
  double validation_minutes = 5;
  uint64_t seed = 1;
  std::string device = "cpu";
  bool bfloat16 = true;
};

}  // namespace livepeer::train
