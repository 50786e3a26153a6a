// What a frame carries through a session, counted: large blocks of memory that are asked for.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <type_traits>

#include "fake/fake_engine.h"
#include "runtime/runtime.h"
#include "support/large_blocks.h"

namespace livepeer {
namespace {

using Outcome = JobResult::Outcome;

static_assert(std::is_trivially_copyable_v<SessionStats>,
              "whoever asks for a mean copies all of it");

constexpr int kWidth = 64, kHeight = 48;
constexpr size_t kPicture = size_t(kWidth) * kHeight * 3;

struct Carrying : ::testing::Test {
  std::shared_ptr<FakeEngine> engine = std::make_shared<FakeEngine>();
  Runtime runtime{std::make_shared<FakeLoader>(engine)};
  std::shared_ptr<Session> session = runtime.open({}, {});
  UpscaleSettings settings;

  ~Carrying() override { session->close(); }

  JobRequest request(uint8_t first) const {
    auto low_res = std::make_shared<Frame>(kWidth, kHeight);
    low_res->pixels[0] = first;
    JobRequest request;
    request.low_res = low_res;
    request.settings = std::make_shared<UpscaleSettings>(settings);
    return request;
  }

  /// How many blocks of at least `size` one frame takes, from its submission to its result.
  int blocks_of(size_t size, const JobRequest &request) {
    const test::LargeBlocks blocks(size);
    const auto job = session->submit(request);
    EXPECT_EQ(job->wait().outcome, Outcome::done);
    return blocks.count();
  }
};

TEST_F(Carrying, APictureHasOneBlockAndTheInputNoOther) {
  for (const TemporalMode mode : {TemporalMode::fixed, TemporalMode::off, TemporalMode::motion}) {
    settings.temporal = mode;
    JobRequest whole = request(1);
    whole.reuse_threshold = -1;
    blocks_of(kPicture, whole);
    EXPECT_EQ(blocks_of(kPicture, whole), 1) << int(mode);
  }
}

TEST_F(Carrying, APartIsComputedInPlace) {
  blocks_of(kPicture, request(1));
  EXPECT_EQ(blocks_of(kPicture, request(2)), 1) << "a copy of the picture before";
  EXPECT_EQ(blocks_of(kPicture, request(2)), 0) << "the picture before";
}

TEST_F(Carrying, SettingsAreShared) {
  settings.prompt = std::string(kPicture * 64, 'x');
  for (const TemporalMode mode : {TemporalMode::fixed, TemporalMode::off, TemporalMode::motion}) {
    settings.temporal = mode;
    EXPECT_EQ(blocks_of(settings.prompt.size(), request(uint8_t(mode))), 0);
  }
}

TEST_F(Carrying, FreeMemoryIsAskedForOnceASecondAndForLargerFrames) {
  const auto begin = std::chrono::steady_clock::now();
  JobRequest whole = request(1);
  whole.reuse_threshold = -1;
  for (int i = 0; i < 200; ++i) blocks_of(kPicture, whole);
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
  EXPECT_LE(engine->estimates, 1 + int(time.count()));
  const int before = engine->estimates;
  whole.low_res = std::make_shared<Frame>(kWidth, kHeight + 1);
  blocks_of(kPicture, whole);
  EXPECT_EQ(engine->estimates, before + 1);
}

TEST_F(Carrying, TheWorkerOwnsWhatItTouches) {
  engine->stepping.close();
  JobRequest cancelled = request(1);
  const std::weak_ptr<const Frame> low_res = cancelled.low_res;
  const std::weak_ptr<const UpscaleSettings> shared = cancelled.settings;
  auto job = session->submit(std::move(cancelled));
  while (engine->stepping.stopped() == 0) std::this_thread::yield();
  session->flush();
  EXPECT_EQ(job->wait().outcome, Outcome::cancelled);
  job.reset();
  EXPECT_FALSE(low_res.expired()) << "the worker is still about to read it";
  EXPECT_FALSE(shared.expired());
  engine->stepping.open();
  EXPECT_EQ(session->submit(request(2))->wait().outcome, Outcome::done);
  EXPECT_TRUE(low_res.expired());
  EXPECT_TRUE(shared.expired());
}

}  // namespace
}  // namespace livepeer
