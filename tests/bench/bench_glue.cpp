// What the element costs beside its engine: with one frame in flight, the time from frame to frame
// less what the engine, a fake that takes 20 ms, took for it; and the time of processors that both
// took. Each is the median of many frames, so that neither what else the machine does nor how long
// a sleep really was counts. With two in flight the time from frame to frame.
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
    engine.on_upscale = [this] { begin_ = Time::now(); };
    engine.on_result = [this](const auto &) {
      const std::lock_guard<std::mutex> lock(mutex_);
      times_.push_back(Time::now() - begin_);
    };
  }
  std::vector<Time> take() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return std::exchange(times_, {});
  }

 private:
  Time begin_;
  std::mutex mutex_;
  std::vector<Time> times_;
};

/// Seconds, medians.
struct Cost {
  double engine, glue, glue_processors;
  double overlapped;  ///< from frame to frame with two in flight
};

Cost measure(EngineClock &clock, GstVideoFormat format) {
  std::vector<double> engine, glue, processors, overlapped;
  const auto periods = [&](int in_flight) {
    return pipeline_periods(
        "livepeerupscale safety-check=false seed=0 max-in-flight=" + std::to_string(in_flight),
        format, kWidth, kHeight, kFrames);
  };
  for (int round = 0; round < kRounds; ++round) {
    const std::vector<Time> one = periods(1), took = clock.take();
    for (size_t i = 0; i < one.size(); ++i) {
      const Time &inference = took.at(i + kWarmUp), rest = one[i] - inference;
      engine.push_back(inference.wall);
      glue.push_back(rest.wall);
      processors.push_back(rest.processors);
    }
    for (const Time &period : periods(2)) overlapped.push_back(period.wall);
    clock.take();
  }
  return {median(engine), median(glue), median(processors), median(overlapped)};
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
        "%-4s %d x %d: engine %.3f ms, glue %.3f ms, %.2f %% of 20 ms, %.3f ms of "
        "processors; two in flight %.3f ms a frame\n",
        gst_video_format_to_string(format), kWidth, kHeight, 1e3 * cost.engine, 1e3 * cost.glue,
        100 * share, 1e3 * cost.glue_processors, 1e3 * cost.overlapped);
    if (format == GST_VIDEO_FORMAT_RGB) rgb = share;
  }
  return rgb > 0.01;
}
