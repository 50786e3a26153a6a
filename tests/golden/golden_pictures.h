#pragma once

#include <cstdlib>

#include "golden/golden_files.h"
#include "support/picture.h"

namespace livepeer {

/// At most one level apart from the recorded `png`, and that in at most 0.2 % of the values.
inline void expect_same_picture(const Frame &actual, const std::string &png) {
  const Frame expected = test::read_picture(golden_path(png));
  ASSERT_EQ(actual.width, expected.width);
  ASSERT_EQ(actual.height, expected.height);
  size_t different = 0;
  int largest = 0;
  for (size_t i = 0; i < expected.pixels.size(); i++) {
    const int difference = std::abs(int(actual.pixels[i]) - int(expected.pixels[i]));
    largest = std::max(largest, difference);
    different += difference != 0;
  }
  EXPECT_LE(largest, 1) << png;
  EXPECT_LE(different, expected.pixels.size() / 500) << png;
}

}  // namespace livepeer
