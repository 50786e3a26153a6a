#pragma once

#include <string>
#include <vector>

#include "train/vocabulary.h"

namespace livepeer::train {

/// The words that the embedded model understands; see the model card for what each does.
const std::vector<std::string> &known_words();
const Vocabulary &vocabulary();

}  // namespace livepeer::train
