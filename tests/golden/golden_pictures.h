#pragma once

#include <cstdlib>

#include "golden/golden_files.h"
#include "support/picture.h"

namespace livepeer {

/// The name of a recorded pipeline run and the number of threads to repeat it with.
using PictureCase = std::tuple<const char *, int>;

/// The recorded runs on pictures that diffusers takes at the size they have.
inline auto picture_cases() {
  return testing::Combine(
      testing::Values("pipe_16x16_g9_n20", "pipe_20x24_g9_n20_neg", "pipe_16x16_g1_n20",
                      "pipe_16x16_g9_n100", "pipe_20x24_g1_n100", "pipe_20x24_g9_s20",
                      "pipe_16x16_g9_s75_default", "pipe_16x16_num2", "pipe_16x16_n0",
                      "pipe_16x16_n350_s1", "pipe_16x16_euler", "pipe_16x16_dpmpp",
                      "pipe_16x16_pndm", "pipe_16x16_lms", "pipe_16x16_eta", "pipe_8x8_cache",
                      "pipe_8x8_cache_inner", "pipe_8x8_interval"),
      testing::Values(1, 2));
}
inline std::string picture_case_name(const testing::TestParamInfo<PictureCase> &info) {
  return std::string(std::get<0>(info.param)) + "_threads" +
         std::to_string(std::get<1>(info.param));
}

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
