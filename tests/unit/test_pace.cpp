// What a session learns from frame to frame: how long inferences take, and which shots are flagged.
#include <gtest/gtest.h>

#include "runtime/pace.h"
#include "runtime/safety_hold.h"

namespace livepeer {
namespace {

using namespace std::chrono_literals;

Frame striped_frame() {
  Frame frame(64, 48);
  for (size_t i = 0; i < frame.pixels.size(); ++i) frame.pixels[i] = uint8_t(i % 100);
  return frame;
}

TEST(PaceTest, TheFirstInferenceOfAKindCountsUntilTheSecond) {
  Pace pace;
  pace.expect({8, 8, 40, true, SchedulerKind::model});
  pace.ran(2s, {});
  EXPECT_EQ(pace.mean(), 2s);
  EXPECT_GT(pace.demand(), 2s);
  pace.ran(100ms, {});
  EXPECT_EQ(pace.mean(), 100ms);
  EXPECT_GT(pace.demand(), 100ms);
  EXPECT_LT(pace.demand(), 120ms);
  pace.expect({8, 8, 40, true, SchedulerKind::model});
  EXPECT_GT(pace.demand(), 0ns);
  pace.expect({8, 8, 1, true, SchedulerKind::model});
  EXPECT_EQ(pace.demand(), 0ns) << "other settings, other times";
}

TEST(PaceTest, ASlowSpellIsProbedAndForgotten) {
  Pace pace;
  Pace::Time now{};
  now += 1h;
  for (int i = 0; i < 5; ++i) pace.ran(400ms, now);
  EXPECT_FALSE(pace.probe(now + 400ms));
  // As long as nothing changes, the probes become rarer.
  std::vector<int> waits;
  for (int i = 0; i < 8; ++i) {
    int waited = 0;
    while (!pace.probe(now)) {
      now += 100ms;
      ++waited;
    }
    waits.push_back(waited);
    pace.ran(390ms, now);
  }
  EXPECT_EQ(waits, (std::vector<int>{5, 10, 20, 40, 80, 160, 160, 160}));
  // One that shows another time counts alone.
  now += 16s;
  ASSERT_TRUE(pace.probe(now));
  pace.ran(10ms, now);
  EXPECT_EQ(pace.mean(), 10ms);
  EXPECT_TRUE(pace.probe(now + 500ms));
}

TEST(SafetyHoldTest, AVerdictHoldsUntilHalfASecondWasClearOrThePictureCuts) {
  const Frame shot = striped_frame();
  Frame other = shot;
  for (uint8_t &value : other.pixels) value = uint8_t(200);
  const SafetyVerdict bad = {true, 0.9}, good = {false, 0.1};
  SafetyHold hold;
  EXPECT_FALSE(hold.apply(good, shot, 0ms).nsfw);
  EXPECT_TRUE(hold.apply(bad, shot, 40ms).nsfw);
  EXPECT_TRUE(hold.apply(good, shot, 80ms).nsfw);
  EXPECT_EQ(hold.apply(good, shot, 80ms).score, 0.1) << "the score is the frame's own";
  EXPECT_TRUE(hold.apply(good, shot, 540ms).nsfw);
  EXPECT_FALSE(hold.apply(good, shot, 541ms).nsfw);
  EXPECT_FALSE(hold.apply(good, shot, 581ms).nsfw);
  EXPECT_TRUE(hold.apply(bad, shot, 600ms).nsfw);
  EXPECT_FALSE(hold.apply(good, other, 640ms).nsfw) << "a cut";
  EXPECT_TRUE(hold.apply(bad, other, 680ms).nsfw);
  EXPECT_TRUE(hold.apply(good, other, 640ms).nsfw) << "in reverse";
  EXPECT_FALSE(hold.apply(good, other, 100ms).nsfw);
  EXPECT_TRUE(hold.apply(bad, other, {}).nsfw);
  int frames = 0;
  while (hold.apply(good, other, {}).nsfw) ++frames;
  EXPECT_EQ(frames, 12) << "without timestamps a frame counts as 40 ms";
  hold.apply(bad, other, {});
  hold.forget();
  EXPECT_FALSE(hold.apply(good, other, {}).nsfw);
}

}  // namespace
}  // namespace livepeer
