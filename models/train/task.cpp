#include "train/task.h"

#include <algorithm>
#include <map>
#include <vector>

namespace livepeer::train {
namespace {

using Words = std::vector<std::string>;

const std::string &one_of(const Words &words, std::mt19937_64 &random) {
  return words[std::uniform_int_distribution<size_t>(0, words.size() - 1)(random)];
}

const std::string &word_for(const std::string &domain, std::mt19937_64 &random) {
  static const std::map<std::string, Words> words = {
      {"photo", {"photo", "photograph"}},
      {"illustration", {"illustration", "drawing", "painting"}},
      {"pixel-art", {"illustration", "drawing"}},
      {"screen", {"text", "screen", "screenshot"}},
      {"map", {"map"}},
      {"texture", {"texture"}}};
  return one_of(words.at(domain), random);
}

/// How often a picture that nothing is asked of is called what it is.
double unasked_share(const std::string &domain) {
  return domain == "photo" ? 0 : domain == "screen" ? 0.6 : 0.3;
}

std::string unknown_word(std::mt19937_64 &random) {
  std::uniform_int_distribution<int> length(3, 9), letter('a', 'z');
  std::string word;
  for (int i = length(random); i > 0; --i) word += char(letter(random));
  return word;
}

/// A fault of the input that the prompt names: it reaches worse ones than are repaired unnamed.
std::string describe_fault(Degradation &degradation, std::mt19937_64 &random) {
  std::uniform_real_distribution<double> uniform(0, 1);
  switch (std::discrete_distribution<int>({45, 35, 20})(random)) {
    case 0:
      degradation.jpeg_quality = 10 + int(55 * uniform(random));
      return one_of({"jpeg artefacts", "jpeg artifacts", "jpeg", "compressed"}, random);
    case 1:
      degradation.noise = 6 + 16 * uniform(random);
      return one_of({"noisy", "noise"}, random);
    default:
      degradation.blur_x = degradation.blur_y = 1 + 1.5 * uniform(random);
      return one_of({"blurry", "blurred"}, random);
  }
}

}  // namespace

Task Task::draw(const Options &options, const std::string &domain, std::mt19937_64 &random) {
  std::uniform_real_distribution<double> uniform(0, 1);
  Task task;
  if (uniform(random) >= options.word_share) {
    if (uniform(random) < unasked_share(domain)) task.prompt = word_for(domain, random);
    if (uniform(random) >= options.noise_free_share) {
      task.noise_level = std::uniform_int_distribution<int64_t>(1, options.max_noise_level)(random);
      if (uniform(random) < 0.5) task.degradation = Degradation::draw(random);
    } else if (uniform(random) >= options.clean_share) {
      if (!options.video.empty() && uniform(random) < 0.4)
        task.video = true;
      else
        task.degradation = Degradation::draw_visible(random);
    }
    return task;
  }

  Words parts;
  switch (std::discrete_distribution<int>({12, 12, 62, 8, 6})(random)) {
    case 0:
      task.target = uniform(random) < 0.5 ? Target::sharp : Target::soft;
      parts.push_back(task.target == Target::sharp ? one_of({"sharp", "crisp"}, random)
                                                   : one_of({"soft", "smooth"}, random));
      break;
    case 1:
      if (uniform(random) < 0.6) {
        task.target = Target::grain;
        parts.push_back(one_of({"grain", "grainy", "film grain"}, random));
      } else {
        task.degradation.noise = 5 + 10 * uniform(random);
        parts.push_back("clean");
      }
      break;
    case 2:
      parts.push_back(describe_fault(task.degradation, random));
      break;
    case 3:
      parts.push_back(word_for(domain, random));
      break;
    default:
      parts.push_back(unknown_word(random));
  }
  // Most pictures are photos, and the word for them says least.
  if (uniform(random) < (domain == "photo" ? 0.15 : 0.45))
    parts.push_back(word_for(domain, random));
  if (uniform(random) < 0.25)
    parts.push_back(one_of({"a", "the", "high quality", "detailed", "picture", "image"}, random));
  if (uniform(random) < 0.1) parts.push_back(unknown_word(random));
  std::shuffle(parts.begin(), parts.end(), random);
  for (const std::string &part : parts)
    task.prompt += (task.prompt.empty() ? "" : uniform(random) < 0.5 ? " " : ", ") + part;
  return task;
}

torch::Tensor retouched(const torch::Tensor &picture, Target target, std::mt19937_64 &random) {
  const auto blurred = [&](double sigma) {
    return blur_matrix(picture.size(1), sigma)
        .matmul(picture)
        .matmul(blur_matrix(picture.size(2), sigma).t());
  };
  switch (target) {
    case Target::plain:
      return picture;
    case Target::sharp:
      return (picture + (picture - blurred(1.5)) * 0.8).clamp(0, 1);
    case Target::soft:
      return blurred(1);
    case Target::grain:
      return (picture + gaussian_noise({1, picture.size(1), picture.size(2)}, 10.0 / 255, random))
          .clamp(0, 1);
  }
  return picture;
}

}  // namespace livepeer::train
