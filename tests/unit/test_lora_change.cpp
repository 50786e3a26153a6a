// Other LoRAs in a running session, on fake engines.
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "fake/fake_engine.h"
#include "runtime/runtime.h"

namespace livepeer {
namespace {

using Outcome = JobResult::Outcome;

struct Told {
  bool loaded;
  std::optional<Error> error;
};

struct LoraChange : ::testing::Test {
  std::shared_ptr<FakeEngine> engine = std::make_shared<FakeEngine>();
  Runtime runtime{std::make_shared<FakeLoader>(engine)};
  std::shared_ptr<Session> session = runtime.open({}, {});

  ~LoraChange() override {
    engine->loading.open();
    engine->stepping.open();
    session->close();
  }
  static Frame frame() {
    Frame frame(3, 3);
    for (size_t i = 0; i < frame.pixels.size(); ++i) frame.pixels[i] = uint8_t(i);
    return frame;
  }
  static JobRequest request_for(Frame frame) {
    JobRequest request;
    request.low_res = std::make_shared<const Frame>(std::move(frame));
    request.settings = std::make_shared<const UpscaleSettings>();
    return request;
  }
  std::shared_ptr<Job> submit() { return session->submit(request_for(frame())); }
  /// What becomes of a change.
  std::future<Told> change(const std::string &lora) {
    auto told = std::make_shared<std::promise<Told>>();
    auto future = told->get_future();
    LoadObserver observer;
    observer.loaded = [told](const UpscaleModel &) { told->set_value({true, {}}); };
    observer.failed = [told](const Error &error) { told->set_value({false, error}); };
    runtime.change_lora(session, lora, std::move(observer));
    return future;
  }
  Bytes pixels_with(const std::string &lora) {
    FakeModel model("", engine, lora);
    Progress progress;
    return model.upscale(frame(), {0, 0, 3, 3}, {}, {}, {}, progress).pixels;
  }
};

TEST_F(LoraChange, IsPreparedBesideTheFramesAndTakesEffectBetweenTwo) {
  ASSERT_EQ(submit()->wait().high_res->pixels, pixels_with(""));
  engine->loading.close();
  auto told = change("a");
  while (engine->loading.stopped() == 0) std::this_thread::yield();
  // Frames go on meanwhile, with the model of before.
  EXPECT_EQ(submit()->wait().high_res->pixels, pixels_with(""));
  // The step that is under way when the other model is ready ends with the old one.
  engine->stepping.close();
  auto running = session->submit(request_for(Frame(4, 3)));
  auto next = submit();
  while (engine->stepping.stopped() == 0) std::this_thread::yield();
  engine->loading.open();
  while (engine->models_alive < 2) std::this_thread::yield();
  engine->stepping.open();
  EXPECT_TRUE(told.get().loaded);
  FakeModel before("", engine);
  Progress progress;
  EXPECT_EQ(running->wait().high_res->pixels,
            before.upscale(Frame(4, 3), {0, 0, 4, 3}, {}, {}, {}, progress).pixels);
  EXPECT_EQ(next->wait().outcome, Outcome::done);
  EXPECT_EQ(submit()->wait().high_res->pixels, pixels_with("a"));
  EXPECT_EQ(session->spec().lora, "a");
}

TEST_F(LoraChange, TakesEffectWithoutAFrameAndLetsGoOfTheModelOfBefore) {
  ASSERT_EQ(submit()->wait().outcome, Outcome::done);
  EXPECT_TRUE(change("a").get().loaded);
  EXPECT_EQ(engine->models_alive, 1);
  // An equal frame is computed anew: what the other model made of it does not count.
  const int upscales = engine->upscales;
  EXPECT_EQ(submit()->wait().high_res->pixels, pixels_with("a"));
  EXPECT_GT(engine->upscales, upscales);
  EXPECT_TRUE(change("").get().loaded);
  EXPECT_EQ(submit()->wait().high_res->pixels, pixels_with(""));
}

TEST_F(LoraChange, ABadFileLeavesTheSetOfBefore) {
  ASSERT_TRUE(change("a").get().loaded);
  engine->on_check = [] { throw Error(ErrorKind::open_read, "The LoRA is damaged"); };
  const Told told = change("bad").get();
  ASSERT_TRUE(told.error);
  EXPECT_EQ(told.error->kind(), ErrorKind::open_read);
  engine->on_check = {};
  engine->on_load = [] { throw Error(ErrorKind::open_read, "The LoRA holds a NaN"); };
  EXPECT_FALSE(change("worse").get().loaded);
  EXPECT_EQ(submit()->wait().high_res->pixels, pixels_with("a"));
}

TEST_F(LoraChange, OfSeveralTheLastCounts) {
  ASSERT_EQ(submit()->wait().outcome, Outcome::done);
  engine->loading.close();
  auto a = change("a");
  while (engine->loading.stopped() == 0) std::this_thread::yield();
  auto b = change("b"), c = change("c");
  EXPECT_EQ(b.get().error->kind(), ErrorKind::cancelled);
  engine->loading.open();
  EXPECT_EQ(a.get().error->kind(), ErrorKind::cancelled);
  EXPECT_TRUE(c.get().loaded);
  EXPECT_EQ(submit()->wait().high_res->pixels, pixels_with("c"));
}

TEST_F(LoraChange, WaitsForTheModelAndEndsWithTheSession) {
  session->close();
  engine->loading.close();
  session = runtime.open({}, {});
  while (engine->loading.stopped() == 0) std::this_thread::yield();
  auto early = change("a");
  engine->loading.open();
  EXPECT_TRUE(early.get().loaded);
  engine->loading.close();
  auto late = change("b");
  while (engine->loading.stopped() == 0) std::this_thread::yield();
  session->close();
  engine->loading.open();
  EXPECT_EQ(late.get().error->kind(), ErrorKind::cancelled);
  EXPECT_EQ(change("c").get().error->kind(), ErrorKind::cancelled);
}

TEST_F(LoraChange, ComesToNothingWhereTheModelCannotBeLoaded) {
  session->close();
  engine->loading.close();
  engine->on_load = [] { throw Error(ErrorKind::open_read, "The model is damaged"); };
  ModelSpec spec;
  spec.model = "damaged";
  session = runtime.open(spec, {});
  auto told = change("a");
  engine->loading.open();
  EXPECT_EQ(told.get().error->kind(), ErrorKind::cancelled);
}

TEST_F(LoraChange, SessionsWithTheSameSetShareAModel) {
  ASSERT_TRUE(change("a").get().loaded);
  ModelSpec spec;
  spec.lora = "a";
  auto other = runtime.open(spec, {});
  EXPECT_EQ(other->submit(request_for(frame()))->wait().high_res->pixels, pixels_with("a"));
  EXPECT_EQ(other->model(), session->model());
  other->close();
}

}  // namespace
}  // namespace livepeer
