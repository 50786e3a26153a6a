#pragma once

#include <string>
#include <vector>

#include "train/degradation.h"
#include "train/validation.h"

namespace livepeer::train {

/// A crop of a sample picture as the truth, and what clean shrinking makes of it.
struct Scene {
  std::string name;
  torch::Tensor high_res, low_res;  ///< [1, 3, 144, 144] and [1, 3, 36, 36] in [0, 1]
};

inline Scene scene(const std::string &file, int64_t x, int64_t y) {
  const Picture picture{file, "", read_picture(SOURCE_ROOT "/examples/samples/" + file), {}};
  const auto high_res = reference_planes(picture).narrow(2, y, 144).narrow(3, x, 144).contiguous();
  return {file, high_res, quantised(shrink(high_res, Kernel::cubic))};
}

/// A face, an animal, a drawing and a window with text, none of which the model has learnt from.
/// They are small already, so shrinking them makes input with more in it than most.
inline std::vector<Scene> small_scenes() {
  return {scene("astronaut.png", 8, 8), scene("cat.png", 40, 0), scene("visual-novel.png", 120, 20),
          scene("window-text.png", 170, 0)};
}

/// Parts of the one large picture that ships. It is one of the 425 that the model has learnt from,
/// at another size.
inline std::vector<Scene> large_scenes() {
  return {
      scene("mountain-x4-reference.jpg", 100, 300), scene("mountain-x4-reference.jpg", 700, 420),
      scene("mountain-x4-reference.jpg", 980, 200), scene("mountain-x4-reference.jpg", 400, 120)};
}

}  // namespace livepeer::train
