#pragma once

#include <random>
#include <string>

#include "train/degradation.h"
#include "train/options.h"

namespace livepeer::train {

enum class Target { plain, sharp, soft, grain };

/// What one pair teaches: a prompt, how its low-resolution picture comes about, and what is done to
/// the high-resolution one.
struct Task {
  std::string prompt;
  Degradation degradation;
  bool video = false;  ///< the low-resolution picture is the one that a video codec left
  /// Of the noise added to the low-resolution picture, told to the network.
  int64_t noise_level = 0;
  Target target = Target::plain;

  /// Mostly the empty prompt. Then the noise level says how far to trust the input: at 0 it is
  /// clean (`clean_share`) or has faults that can be seen, above 0 it may have any. `word_share` of
  /// all cases have a prompt: faults by their names, wishes, the right word for a picture of
  /// `domain`, and now and then an unknown word that must not matter.
  static Task draw(const Options &options, const std::string &domain, std::mt19937_64 &random);
};

/// `picture` [3, h, w] in [0, 1] as the target wants it.
torch::Tensor retouched(const torch::Tensor &picture, Target target, std::mt19937_64 &random);

}  // namespace livepeer::train
