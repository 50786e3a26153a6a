#include "train/words.h"

namespace livepeer::train {

const std::vector<std::string> &known_words() {
  static const std::vector<std::string> words = {
      // what the picture is
      "photo", "photograph", "illustration", "drawing", "painting", "text", "screen", "screenshot",
      "map", "texture",
      // what is wanted
      "sharp", "crisp", "soft", "smooth", "clean", "grain", "grainy", "film",
      // what is wrong with the input
      "jpeg", "artefacts", "artifacts", "compressed", "noisy", "noise", "blurry", "blurred",
      // what prompts are full of
      "a", "of", "the", "with", "and", "high", "quality", "detailed", "picture", "image"};
  return words;
}

const Vocabulary &vocabulary() {
  static const Vocabulary result = make_vocabulary(known_words());
  return result;
}

}  // namespace livepeer::train
