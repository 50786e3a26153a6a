#include <gtest/gtest.h>

#include "runtime/frame.h"
#include "runtime/reuse.h"

namespace livepeer {
namespace {

constexpr Samples kWide{2, -1, 2};

/// 32 x 32, all numbers the same.
JobRequest request(const Samples &samples, int number, double threshold) {
  JobRequest request;
  Frame frame(32, 32, samples);
  for (int y = 0; y < 32; ++y)
    for (int i = 0; i < 32 * 3; ++i)
      if (samples.bytes == 1)
        frame.row(y)[i] = uint8_t(number);
      else
        frame.row<uint16_t>(y)[i] = uint16_t(number);
  request.low_res = std::make_shared<Frame>(std::move(frame));
  request.settings = std::make_shared<UpscaleSettings>();
  request.reuse_threshold = threshold;
  return request;
}

/// Whether a frame is computed after another one.
bool is_new(const JobRequest &before, const JobRequest &after) {
  ReuseState state;
  state.remember(before, {}, {}, std::make_shared<Frame>(128, 128, before.low_res->samples));
  const ReusePlan plan = state.plan(after, {}, 0);
  return plan.whole_frame || !plan.regions.empty();
}

TEST(Frame, IsSeenInEightBits) {
  Frame frame(2, 1, kWide), made;
  const uint16_t numbers[] = {0, 21845, 43690, 65535, 32768, 21930};
  std::copy_n(numbers, 6, frame.row<uint16_t>(0));
  const Frame &seen = in_8_bits(frame, made);
  EXPECT_EQ(seen.pixels, (Bytes{0, 0, 255, 255, 128, 1}));
  EXPECT_EQ(&in_8_bits(seen, frame), &seen) << "a copy for nothing";
}

TEST(Frame, IsReusedByItsOwnDepth) {
  for (const Samples &samples : {Samples{}, Samples{2, 0, 1}, kWide}) {
    EXPECT_FALSE(is_new(request(samples, 100, 0), request(samples, 100, 0)));
    EXPECT_TRUE(is_new(request(samples, 100, 0), request(samples, 101, 0)));
  }
  // One 255th, however many numbers that is.
  EXPECT_FALSE(is_new(request({}, 100, 1), request({}, 101, 1)));
  EXPECT_TRUE(is_new(request({}, 100, 1), request({}, 102, 1)));
  EXPECT_FALSE(is_new(request({2, 0, 1}, 100, 1), request({2, 0, 1}, 357, 1)));
  EXPECT_TRUE(is_new(request({2, 0, 1}, 100, 1), request({2, 0, 1}, 358, 1)));
  EXPECT_FALSE(is_new(request(kWide, 100, 1), request(kWide, 185, 1)));
  EXPECT_TRUE(is_new(request(kWide, 100, 1), request(kWide, 186, 1)));
  EXPECT_TRUE(is_new(request({2, 0, 1}, 100, 255), request(kWide, 100, 255))) << "other numbers";
}

}  // namespace
}  // namespace livepeer
