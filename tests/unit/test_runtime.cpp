// The torch-free runtime on fake engines: jobs, sessions, model cache, reuse. The letters are those
// of the points they prove.
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <random>
#include <thread>

#include "fake/fake_engine.h"
#include "runtime/motion.h"
#include "runtime/runtime.h"

namespace livepeer {
namespace {

using namespace std::chrono_literals;
using Outcome = JobResult::Outcome;

Frame noise_frame(int width, int height, unsigned seed) {
  std::mt19937 random(seed);
  Frame frame(width, height);
  for (uint8_t &value : frame.pixels) value = uint8_t(random() & 127);
  return frame;
}

struct RuntimeTest : ::testing::Test {
  std::shared_ptr<FakeEngine> engine = std::make_shared<FakeEngine>();
  Runtime runtime{std::make_shared<FakeLoader>(engine)};

  std::shared_ptr<Session> open(const ModelSpec &spec = {}) { return runtime.open(spec, {}); }
  static JobRequest request(Frame frame, const UpscaleSettings &settings = {}) {
    JobRequest request;
    request.low_res = std::make_shared<Frame>(std::move(frame));
    request.settings = std::make_shared<UpscaleSettings>(settings);
    return request;
  }
  static Frame whole(FakeEngine &engine, const Frame &low_res, const UpscaleSettings &settings) {
    FakeModel model("reference", std::shared_ptr<FakeEngine>(&engine, [](FakeEngine *) {}));
    Progress progress;
    return model.upscale(low_res, {0, 0, low_res.width, low_res.height}, settings, {}, {},
                         progress);
  }
};

TEST_F(RuntimeTest, JobsComeBackInOrderWithTheirPixels) {
  auto session = open();
  std::vector<std::shared_ptr<Job>> jobs;
  for (unsigned i = 0; i < 20; ++i) jobs.push_back(session->submit(request(noise_frame(9, 7, i))));
  for (unsigned i = 0; i < 20; ++i) {
    const JobResult &result = jobs[i]->wait();
    ASSERT_EQ(result.outcome, Outcome::done);
    EXPECT_EQ(result.high_res->pixels, whole(*engine, noise_frame(9, 7, i), {}).pixels);
  }
  session->close();
}

TEST_F(RuntimeTest, F5_FlushWakesAWaitInsideAnUninterruptibleStep) {
  engine->stepping.close();
  auto session = open();
  auto job = session->submit(request(noise_frame(4, 4, 1)));
  auto queued = session->submit(request(noise_frame(4, 4, 2)));
  while (engine->stepping.stopped() == 0) std::this_thread::yield();
  auto waiter = std::async(std::launch::async, [&] { return job->wait().outcome; });
  session->flush();
  EXPECT_EQ(waiter.get(), Outcome::cancelled);
  EXPECT_EQ(queued->wait().outcome, Outcome::cancelled);
  EXPECT_EQ(engine->stepping.stopped(), 1);
  engine->stepping.open();
  EXPECT_EQ(session->submit(request(noise_frame(4, 4, 3)))->wait().outcome, Outcome::done);
  EXPECT_EQ(session->stats().cancelled, 2u);
  session->close();
}

TEST_F(RuntimeTest, F7_ARestartDoesNotWaitForABusyWorker) {
  engine->stepping.close();
  auto old = open();
  auto job = old->submit(request(noise_frame(4, 4, 1)));
  while (engine->stepping.stopped() == 0) std::this_thread::yield();
  old->close();
  EXPECT_EQ(job->wait().outcome, Outcome::cancelled);
  engine->stepping.admit();
  auto session = open();
  EXPECT_EQ(session->submit(request(noise_frame(4, 4, 2)))->wait().outcome, Outcome::done);
  EXPECT_EQ(engine->stepping.stopped(), 1);
  engine->stepping.open();
  EXPECT_EQ(old->submit(request(noise_frame(4, 4, 3)))->wait().outcome, Outcome::cancelled);
  session->close();
}

TEST_F(RuntimeTest, G5_CloseCancelsTheLoad) {
  engine->load_time = 10s;
  auto session = open();
  auto job = session->submit(request(noise_frame(4, 4, 1)));
  while (engine->loads == 0) std::this_thread::yield();
  session->close();
  EXPECT_EQ(job->wait().outcome, Outcome::cancelled);
  EXPECT_EQ(session->model(), nullptr);
}

TEST_F(RuntimeTest, G6_SameIdentityIsLoadedOnceAndFreedWithTheLast) {
  engine->load_time = 100ms;
  auto a = open(), b = open();
  ModelSpec other;
  other.precision = Precision::bfloat16;
  auto c = open(other);
  for (auto &session : {a, b, c})
    EXPECT_EQ(session->submit(request(noise_frame(2, 2, 1)))->wait().outcome, Outcome::done);
  EXPECT_EQ(engine->loads, 2);
  EXPECT_EQ(a->model(), b->model());
  EXPECT_NE(a->model(), c->model());
  auto kept = a->model();
  for (auto &session : {a, b, c}) session->close();
  while (engine->models_alive > 1) std::this_thread::yield();
  auto d = open();
  EXPECT_EQ(d->submit(request(noise_frame(2, 2, 1)))->wait().outcome, Outcome::done);
  EXPECT_EQ(engine->loads, 2) << "G7: a kept model is not loaded again";
  d->close();
  kept.reset();
  while (engine->models_alive > 0) std::this_thread::yield();
}

TEST_F(RuntimeTest, G6_ACancelledLoadIsTakenOverByWhoWaitsForIt) {
  engine->loading.close();
  auto first = open();
  while (engine->loading.stopped() == 0) std::this_thread::yield();
  auto second = open();
  first->close();
  engine->loading.open();
  EXPECT_EQ(second->submit(request(noise_frame(2, 2, 1)))->wait().outcome, Outcome::done);
  EXPECT_EQ(engine->loads, 2);
  second->close();
}

TEST_F(RuntimeTest, G6_WaitingForAnothersLoadCanBeCancelled) {
  engine->loading.close();
  auto first = open();
  while (engine->loading.stopped() == 0) std::this_thread::yield();
  auto second = open();
  auto job = second->submit(request(noise_frame(2, 2, 1)));
  second->close();
  EXPECT_EQ(job->wait().outcome, Outcome::cancelled);
  EXPECT_EQ(engine->loads, 1);
  first->close();
  engine->loading.open();
}

TEST_F(RuntimeTest, G4_AFailedLoadFailsEveryJob) {
  engine->load_time = 50ms;
  engine->on_load = [] { throw Error(ErrorKind::open_read, "bad file", "weights"); };
  std::promise<std::string> told;
  LoadObserver observer;
  observer.failed = [&](const Error &error) { told.set_value(error.what()); };
  auto session = runtime.open({}, {}, observer);
  auto job = session->submit(request(noise_frame(2, 2, 1)));
  EXPECT_EQ(job->wait().outcome, Outcome::failed);
  EXPECT_EQ(job->wait().error->kind(), ErrorKind::open_read);
  EXPECT_EQ(told.get_future().get(), "bad file");
  EXPECT_EQ(session->submit(request(noise_frame(2, 2, 2)))->wait().outcome, Outcome::failed);
  session->close();
}

TEST_F(RuntimeTest, A3_AnyExceptionBecomesAnError) {
  engine->on_check = [] { throw Error(ErrorKind::not_found, "no folder"); };
  EXPECT_THROW(open(), Error);
  engine->on_check = {};
  const std::vector<std::pair<std::function<void()>, ErrorKind>> cases = {
      {[] { throw std::runtime_error("x"); }, ErrorKind::failed},
      {[] { throw 7; }, ErrorKind::failed},
      {[] { throw std::bad_alloc(); }, ErrorKind::no_space},
      {[] { throw Error(ErrorKind::settings, "no"); }, ErrorKind::settings}};
  for (const auto &[thrower, kind] : cases) {
    engine->on_upscale = thrower;
    auto session = open();
    const auto job = session->submit(request(noise_frame(2, 2, 1)));
    ASSERT_EQ(job->wait().outcome, Outcome::failed);
    EXPECT_EQ(job->wait().error->kind(), kind);
    session->close();
    engine->on_upscale = {};
    engine->on_load = thrower;
    ModelSpec other;  // the first worker may still hold its model
    other.model = "other";
    session = open(other);
    const auto unloaded = session->submit(request(noise_frame(2, 2, 1)));
    ASSERT_EQ(unloaded->wait().outcome, Outcome::failed);
    EXPECT_EQ(unloaded->wait().error->kind(), kind);
    session->close();
    engine->on_load = {};
  }
}

TEST_F(RuntimeTest, H3_OutOfMemoryIsTriedOnceMore) {
  int calls = 0;
  engine->on_upscale = [&] {
    if (++calls == 1) throw std::bad_alloc();
  };
  auto session = open();
  auto job = session->submit(request(noise_frame(2, 2, 1)));
  EXPECT_EQ(job->wait().outcome, Outcome::done);
  EXPECT_TRUE(job->wait().retried);
  session->close();
}

/// A mostly still picture is computed in parts only; they tell that a slow start is over.
TEST_F(RuntimeTest, I3_PartsOfFramesEndASlowSpell) {
  engine->step_time = 300ms;
  auto session = open();
  Frame frame = noise_frame(150, 90, 1);
  session->submit(request(frame))->wait();
  ASSERT_GE(session->stats().demand, 300ms);
  engine->step_time = 0ms;
  for (int i = 0; i < 200 && session->stats().demand > 100ms; ++i) {
    frame.pixels[0] ^= 1;
    EXPECT_TRUE(session->submit(request(frame))->wait().reused);
  }
  EXPECT_LE(session->stats().demand, 100ms);
  session->close();
}

TEST_F(RuntimeTest, I3_FramesAreAskedForWithWhatAnInferenceDemands) {
  engine->step_time = 30ms;
  auto session = open();
  std::vector<nanoseconds> asked;
  const auto submit = [&](unsigned i) {
    auto r = request(noise_frame(2, 2, i));
    r.too_late = [&](nanoseconds from_now) {
      asked.push_back(from_now);
      return from_now > 0ns;
    };
    return session->submit(std::move(r))->wait().outcome;
  };
  EXPECT_EQ(submit(1), Outcome::done) << "nothing is known yet";
  EXPECT_EQ(submit(2), Outcome::late);
  EXPECT_GE(asked.back(), 30ms);
  EXPECT_EQ(asked.back(), session->stats().demand);
  EXPECT_EQ(session->stats().late, 1u);
  session->close();
}

TEST_F(RuntimeTest, K2_PlainLateAndFailedFramesAreChecked) {
  engine->score_of = [](const Frame &frame) { return frame.width == 8 ? 0.9 : 0.1; };
  auto session = open();
  auto r = request(noise_frame(8, 8, 1));
  r.plain = true;
  EXPECT_EQ(session->submit(r)->wait().outcome, Outcome::plain);
  EXPECT_TRUE(session->submit(r)->wait().safety.nsfw);
  r.plain = false;
  r.too_late = [](nanoseconds) { return true; };
  EXPECT_EQ(session->submit(r)->wait().outcome, Outcome::late);
  EXPECT_TRUE(session->submit(r)->wait().safety.nsfw);
  const int checks = engine->checks;
  r.drop_if_late = true;
  EXPECT_EQ(session->submit(r)->wait().outcome, Outcome::late);
  EXPECT_EQ(engine->checks, checks) << "nobody sees it";
  r.too_late = {};
  engine->on_upscale = [] { throw std::bad_alloc(); };
  EXPECT_EQ(session->submit(r)->wait().outcome, Outcome::failed);
  EXPECT_TRUE(session->submit(r)->wait().safety.nsfw);
  session->close();
}

TEST_F(RuntimeTest, J2_AStillPictureIsInferredOnce) {
  auto session = open();
  const JobResult *last = nullptr;
  std::vector<std::shared_ptr<Job>> jobs;
  for (int i = 0; i < 30; ++i) {
    jobs.push_back(session->submit(request(noise_frame(33, 21, 5))));
    const JobResult &result = jobs.back()->wait();
    ASSERT_EQ(result.outcome, Outcome::done);
    EXPECT_EQ(result.inferred, i == 0);
    EXPECT_EQ(result.reused, i > 0);
    if (last) {
      EXPECT_EQ(last->high_res->pixels, result.high_res->pixels);
    }
    last = &result;
  }
  EXPECT_EQ(session->stats().inferred, 1u);
  EXPECT_EQ(session->stats().reused, 29u);
  session->close();
}

TEST_F(RuntimeTest, E11_OnlyChangedRegionsAreComputedAndExactly) {
  std::mt19937 random(11);
  for (int radius : {0, 1, 5, 19}) {
    engine->radius = radius;
    auto session = open();
    Frame frame = noise_frame(150, 90, 1);
    session->submit(request(frame))->wait();
    for (int i = 0; i < 20; ++i) {
      for (int dots = 0; dots < i % 4; ++dots)
        frame.pixels[random() % frame.pixels.size()] ^= uint8_t(1 + random() % 100);
      const int64_t before = engine->pixels;
      auto job = session->submit(request(frame));
      ASSERT_EQ(job->wait().outcome, Outcome::done);
      if (i % 4 == 1) {
        EXPECT_LT(engine->pixels - before, 150 * 90);
      }
      ASSERT_EQ(job->wait().high_res->pixels, whole(*engine, frame, {}).pixels);
    }
    session->close();
  }
}

TEST_F(RuntimeTest, E11_UnboundedModelsComputeTheWholeFrame) {
  engine->radius = std::nullopt;
  auto session = open();
  Frame frame = noise_frame(64, 64, 1);
  session->submit(request(frame))->wait();
  frame.pixels[0] ^= 1;
  engine->pixels = 0;
  EXPECT_FALSE(session->submit(request(frame))->wait().reused);
  EXPECT_EQ(engine->pixels, 64 * 64);
  session->close();
}

TEST_F(RuntimeTest, E11_TheThresholdReusesSmallDifferencesWhichDoNotAddUp) {
  auto session = open();
  Frame frame(32, 32);
  std::fill(frame.pixels.begin(), frame.pixels.end(), uint8_t(100));
  const auto send = [&] {
    auto r = request(frame);
    r.reuse_threshold = 2.5;
    return session->submit(r);
  };
  send()->wait();
  std::vector<bool> inferred;
  for (int i = 0; i < 6; ++i) {
    for (uint8_t &value : frame.pixels) ++value;
    auto job = send();
    inferred.push_back(job->wait().inferred);
  }
  EXPECT_EQ(inferred, (std::vector<bool>{false, false, true, false, false, true}));
  session->close();
}

TEST_F(RuntimeTest, E11_ANegativeThresholdReusesNothing) {
  auto session = open();
  auto r = request(noise_frame(8, 8, 1));
  EXPECT_TRUE(session->submit(r)->wait().inferred);
  EXPECT_FALSE(session->submit(r)->wait().inferred);
  r.reuse_threshold = -1;
  EXPECT_TRUE(session->submit(r)->wait().inferred);
  session->close();
}

TEST_F(RuntimeTest, J1_SettingsDiscontinuityAndFlushForgetTheFrameBefore) {
  auto session = open();
  auto r = request(noise_frame(8, 8, 1));
  session->submit(r)->wait();
  UpscaleSettings settings;
  settings.prompt = "sharp";
  r.settings = std::make_shared<UpscaleSettings>(settings);
  EXPECT_TRUE(session->submit(r)->wait().inferred);
  EXPECT_FALSE(session->submit(r)->wait().inferred);
  r.discontinuity = true;
  EXPECT_TRUE(session->submit(r)->wait().inferred);
  r.discontinuity = false;
  session->flush();
  EXPECT_TRUE(session->submit(r)->wait().inferred);
  session->close();
}

TEST_F(RuntimeTest, TemporalOffDrawsFreshNoiseAndTellsTheSeed) {
  auto session = open();
  UpscaleSettings settings;
  settings.temporal = TemporalMode::off;
  settings.seed = 40;
  const auto r = request(noise_frame(8, 8, 1), settings);
  for (uint64_t i = 0; i < 3; ++i) {
    auto job = session->submit(r);
    EXPECT_EQ(job->wait().seed, 40 + i);
    EXPECT_TRUE(job->wait().inferred);
  }
  session->close();
}

TEST(Motion, FindsTheDisplacementOfAPan) {
  const Frame wide = noise_frame(200, 150, 3);
  const auto window = [&](int x, int y) {
    Frame frame(120, 90);
    for (int row = 0; row < frame.height; ++row)
      std::copy_n(wide.row(y + row) + x * 3, frame.width * 3, frame.row(row));
    return frame;
  };
  for (const auto &[x, y] : {std::pair(0, 0), {1, 0}, {0, -1}, {7, 5}, {-20, 13}, {20, -20}}) {
    // The window moves against the picture in it.
    const Shift shift = estimate_shift(window(40, 30), window(40 - x, 30 - y));
    EXPECT_EQ(shift.x, x);
    EXPECT_EQ(shift.y, y);
  }
  const Shift cut = estimate_shift(noise_frame(120, 90, 1), noise_frame(120, 90, 2));
  EXPECT_EQ(cut.x, 0);
  EXPECT_EQ(cut.y, 0);
  EXPECT_EQ(estimate_shift(noise_frame(1, 1, 1), noise_frame(1, 1, 2)).x, 0);
  EXPECT_EQ(estimate_shift({}, noise_frame(8, 8, 2)).x, 0);
}

TEST_F(RuntimeTest, TemporalMotionMovesTheNoiseWithThePicture) {
  std::vector<std::pair<int, int>> shifts;
  engine->on_noise = [&](const Shift &noise_shift) {
    shifts.emplace_back(noise_shift.x, noise_shift.y);
  };
  auto session = open();
  const Frame wide = noise_frame(100, 60, 3);
  for (int i : {0, 2, 5, 5, 9}) {
    Frame frame(60, 60);
    for (int row = 0; row < frame.height; ++row)
      std::copy_n(wide.row(row) + i * 3, frame.width * 3, frame.row(row));
    UpscaleSettings settings;
    settings.temporal = TemporalMode::motion;
    EXPECT_EQ(session->submit(request(std::move(frame), settings))->wait().outcome, Outcome::done);
  }
  EXPECT_EQ(shifts, (std::vector<std::pair<int, int>>{{0, 0}, {-2, 0}, {-5, 0}, {-9, 0}}))
      << "and the frame that stood still was not computed again";
  session->close();
}

TEST_F(RuntimeTest, K_SafetyVerdictStaysWithAReusedFrameAndIsNeverSkipped) {
  engine->nsfw_score = 0.9;
  auto session = open();
  EXPECT_TRUE(session->submit(request(noise_frame(8, 8, 1)))->wait().safety.nsfw);
  EXPECT_TRUE(session->submit(request(noise_frame(8, 8, 1)))->wait().safety.nsfw);
  EXPECT_EQ(session->stats().flagged, 2u);
  engine->has_checker = false;
  auto job = session->submit(request(noise_frame(8, 8, 2)));
  ASSERT_EQ(job->wait().outcome, Outcome::done);
  ASSERT_TRUE(job->wait().unchecked);
  EXPECT_EQ(job->wait().unchecked->kind(), ErrorKind::settings);
  EXPECT_TRUE(session->submit(request(noise_frame(8, 8, 2)))->wait().inferred)
      << "what nobody checked is not reused";
  session->close();
}

TEST_F(RuntimeTest, StepsAreReportedToWhoWaits) {
  engine->stepping.close();
  auto session = open();
  UpscaleSettings settings;
  settings.steps = 5;
  std::vector<double> seen;
  auto job = session->submit(request(noise_frame(2, 2, 1), settings));
  engine->stepping.let_one_pass();
  job->wait([&](double fraction, const std::string &) {
    seen.push_back(fraction);
    engine->stepping.let_one_pass();
  });
  EXPECT_GE(seen.size(), 4u);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  session->close();
}

TEST(JobTest, WhoWaitsLateHearsHowFarItCame) {
  for (const bool cancels : {false, true}) {
    Job job(JobRequest{});
    job.progress().advance(0.5, "first");
    job.progress().advance(1, "second");
    JobResult result;
    result.outcome = JobResult::Outcome::done;
    if (cancels) job.cancel();
    job.finish(result);
    std::vector<std::string> steps;
    job.wait([&](double, const std::string &step) { steps.push_back(step); });
    EXPECT_EQ(steps, cancels ? std::vector<std::string>() : std::vector<std::string>{"second"});
  }
}

TEST(RuntimeEnd, JoinsWorkersThatWereNeverClosed) {
  auto engine = std::make_shared<FakeEngine>();
  engine->step_time = 100ms;
  std::shared_ptr<Job> job;
  {
    Runtime runtime(std::make_shared<FakeLoader>(engine));
    auto session = runtime.open({}, {});
    job = session->submit(RuntimeTest::request(Frame(2, 2)));
  }
  EXPECT_EQ(job->wait().outcome, Outcome::cancelled);
  EXPECT_EQ(engine->models_alive, 0);
}

}  // namespace
}  // namespace livepeer
