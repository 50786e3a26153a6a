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
  Target target = Target::plain;

  /// Mostly the empty prompt; words in `word_share` of all cases, the right one for a picture of
  /// `domain` among them, and now and then an unknown word that must not matter.
  static Task draw(const Options &options, const std::string &domain, std::mt19937_64 &random);
};

/// `picture` [3, h, w] in [0, 1] as the target wants it.
torch::Tensor retouched(const torch::Tensor &picture, Target target, std::mt19937_64 &random);

}  // namespace livepeer::train
