// What the element costs beside its engine: with one frame in flight, the time from frame to frame
// less what the engine, a fake that takes 20 ms, took for it; the median of many frames, so that
// neither what else the machine does nor how long a sleep really was counts. With two in flight the
// time from frame to frame against the engine's.
// Fails where one RGB frame in flight costs more than 1 % of those 20 ms.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "fake/fake_engine.h"
#include "gstlivepeerupscale.h"
#include "pipeline_clock.h"
#include "runtime/runtime.h"

namespace livepeer {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kWidth = 320, kHeight = 180, kFrames = 100, kRounds = 5;
constexpr std::chrono::milliseconds kInference(20);

double median(std::vector<double> values) {
  const auto middle = values.begin() + ptrdiff_t(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// How long a fake engine took for each frame.
class EngineClock {
 public:
  explicit EngineClock(FakeEngine &engine) {
    engine.on_upscale = [this] { begin_ = Clock::now(); };
    engine.on_result = [this](Frame &) {
      const std::lock_guard<std::mutex> lock(mutex_);
      seconds_.push_back(std::chrono::duration<double>(Clock::now() - begin_).count());
    };
  }
  std::vector<double> take() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return std::exchange(seconds_, {});
  }

 private:
  Clock::time_point begin_;
  std::mutex mutex_;
  std::vector<double> seconds_;
};

/// Seconds, medians.
struct Cost {
  double engine, glue, overlapped;  ///< overlapped: from frame to frame with two in flight
};

Cost measure(EngineClock &clock, GstVideoFormat format) {
  std::vector<double> engine, glue, overlapped;
  const auto periods = [&](int in_flight) {
    return pipeline_periods(
        "livepeerupscale safety-check=false seed=0 max-in-flight=" + std::to_string(in_flight),
        format, kWidth, kHeight, kFrames);
  };
  for (int round = 0; round < kRounds; ++round) {
    const std::vector<double> one = periods(1), took = clock.take();
    for (size_t i = 0; i < one.size(); ++i) {
      engine.push_back(took.at(i + kWarmUp));
      glue.push_back(one[i] - engine.back());
    }
    for (const double period : periods(2)) overlapped.push_back(period);
    clock.take();
  }
  return {median(engine), median(glue), median(overlapped)};
}

}  // namespace
}  // namespace livepeer

int main() {
  using namespace livepeer;
  gst_init(nullptr, nullptr);
  const auto engine = std::make_shared<FakeEngine>();
  EngineClock clock(*engine);
  Runtime::instance().set_loader(std::make_shared<FakeLoader>(engine));
  GST_ELEMENT_REGISTER(livepeerupscale, nullptr);
  engine->step_time = kInference;

  double rgb = 0;
  for (const GstVideoFormat format : {GST_VIDEO_FORMAT_RGB, GST_VIDEO_FORMAT_BGRx,
                                      GST_VIDEO_FORMAT_RGBA, GST_VIDEO_FORMAT_I420}) {
    const Cost cost = measure(clock, format);
    const double share = cost.glue / std::chrono::duration<double>(kInference).count();
    std::printf(
        "%-4s %d x %d: engine %.3f ms, glue %.3f ms, %.2f %% of 20 ms; two in flight "
        "%.3f ms a frame\n",
        gst_video_format_to_string(format), kWidth, kHeight, 1e3 * cost.engine, 1e3 * cost.glue,
        100 * share, 1e3 * cost.overlapped);
    if (format == GST_VIDEO_FORMAT_RGB) rgb = share;
  }
  return rgb > 0.01;
}
