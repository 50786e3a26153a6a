// What the element costs beside its engine: frames per second with an engine that takes 100 ms a
// frame, against that engine alone, and with two frames in flight against one.
// Fails where one in flight costs more than 5 % of those 100 ms.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include "fake/fake_engine.h"
#include "gstlivepeerupscale.h"
#include "pipeline_clock.h"
#include "runtime/runtime.h"

namespace livepeer {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kWidth = 480, kHeight = 270, kFrames = 20, kRounds = 3;
constexpr std::chrono::milliseconds kInference(100);

double engine_seconds(const std::shared_ptr<FakeEngine> &engine) {
  FakeModel model("fake", engine);
  const Frame frame(kWidth, kHeight);
  Progress progress;
  const auto begin = Clock::now();
  for (int i = 0; i < kFrames; ++i)
    model.upscale(frame, {0, 0, kWidth, kHeight}, {}, {}, {}, progress);
  return std::chrono::duration<double>(Clock::now() - begin).count() / kFrames;
}

double element_seconds(int in_flight) {
  return 1 / pipeline_fps("livepeerupscale safety-check=false seed=0 max-in-flight=" +
                              std::to_string(in_flight),
                          kWidth, kHeight, kFrames + 2);
}

}  // namespace
}  // namespace livepeer

int main() {
  using namespace livepeer;
  gst_init(nullptr, nullptr);
  const auto engine = std::make_shared<FakeEngine>();
  Runtime::instance().set_loader(std::make_shared<FakeLoader>(engine));
  GST_ELEMENT_REGISTER(livepeerupscale, nullptr);
  engine->step_time = kInference;

  double alone = 1e30, one = 1e30, two = 1e30;
  for (int round = 0; round < kRounds; ++round) {
    alone = std::min(alone, engine_seconds(engine));
    one = std::min(one, element_seconds(1));
    two = std::min(two, element_seconds(2));
  }
  const double inference = std::chrono::duration<double>(kInference).count();
  const double cost = (one - alone) / inference;
  std::printf(
      "%d x %d: engine alone %.2f ms, element %.2f ms (x %.4f), two in flight %.2f ms "
      "(x %.4f)\nthe glue costs %.2f %% of a 100 ms inference\n",
      kWidth, kHeight, 1e3 * alone, 1e3 * one, one / alone, 1e3 * two, two / alone, 100 * cost);
  return cost > 0.05;
}
