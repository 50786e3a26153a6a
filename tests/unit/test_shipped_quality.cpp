#include <gtest/gtest.h>

#include "shipped_scenes.h"
#include "train/sampler.h"

// What `model=quality` is for: it costs more than the default, so it must be worth it.

namespace livepeer::train {
namespace {

TEST(ShippedQuality, IsCloserToEveryPictureThanTheDefault) {
  Sampler quality(SOURCE_ROOT "/models/quality");
  Sampler fast(SOURCE_ROOT "/models/default");
  for (const Scene &s : small_scenes()) {
    const double better = psnr_y(quality.upscale(s.low_res, {}), s.high_res);
    const double plain = psnr_y(fast.upscale(s.low_res, {}), s.high_res);
    std::printf("%s: quality %.2f dB, default %.2f dB\n", s.name.c_str(), better, plain);
    EXPECT_GT(better, plain) << s.name;
  }
}

}  // namespace
}  // namespace livepeer::train
