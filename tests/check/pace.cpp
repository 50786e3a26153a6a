// Section I on live sources: what becomes of frames under every policy, with latency set and
// measured, on engines faster and slower than the source. Judged by how many frames are inferred:
// at least half of what the engine alone could do in the time. It sleeps, so a busy machine does
// not make it slower.
#include <algorithm>
#include <atomic>
#include <thread>

#include "support.h"

using namespace std::chrono_literals;

namespace {

constexpr GstClockTime kFrame = 40 * GST_MSECOND;
const char *const kCamera =
    "videotestsrc name=src is-live=true pattern=snow ! "
    "video/x-raw,format=RGB,width=16,height=12,framerate=25/1 ! queue ! ";

struct Case {
  const char *policy, *latency;  // latency: in milliseconds, "0": measured
  int in_flight;
};

/// A pipeline that counts what arrives at its end.
class Live {
 public:
  Live(const std::string &source, const std::string &properties)
      : pipeline_(pipeline_new(source +
                               "livepeerupscale name=up safety-check=false seed=0 "
                               "reuse-threshold=-1 " +
                               properties + " ! queue ! fakesink name=out sync=true")) {
    GstElement *out = gst_bin_get_by_name(GST_BIN(pipeline_), "out");
    GstPad *pad = gst_element_get_static_pad(out, "sink");
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, count, this, nullptr);
    gst_object_unref(pad);
    gst_object_unref(out);
    up_ = gst_bin_get_by_name(GST_BIN(pipeline_), "up");
    gst_element_set_state(pipeline_, GST_STATE_PLAYING);
  }
  ~Live() {
    gst_object_unref(up_);
    pipeline_free(pipeline_);
  }
  Live(const Live &) = delete;
  Live &operator=(const Live &) = delete;

  /// Does what an application has to: tells the sinks when the latency has changed.
  void handle_messages() {
    GstBus *bus = gst_element_get_bus(pipeline_);
    while (GstMessage *message = gst_bus_pop(bus)) {
      fail_if(GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR);
      if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_LATENCY)
        gst_bin_recalculate_latency(GST_BIN(pipeline_));
      gst_message_unref(message);
    }
    gst_object_unref(bus);
  }
  int inferred() const { return inferred_; }
  int arrived() const { return arrived_; }
  GstElement *up() { return up_; }
  GstElement *pipeline() { return pipeline_; }
  GstClockTime running_time() const {
    GstClock *clock = gst_element_get_clock(pipeline_);
    const GstClockTime now = gst_clock_get_time(clock) - gst_element_get_base_time(pipeline_);
    gst_object_unref(clock);
    return now;
  }

 private:
  static GstPadProbeReturn count(GstPad *, GstPadProbeInfo *info, gpointer data) {
    auto *live = static_cast<Live *>(data);
    const auto *meta = gst_buffer_get_livepeer_upscale_meta(GST_PAD_PROBE_INFO_BUFFER(info));
    ++live->arrived_;
    if (meta->flags & GST_LIVEPEER_UPSCALE_INFERRED) ++live->inferred_;
    return GST_PAD_PROBE_OK;
  }

  GstElement *pipeline_;
  GstElement *up_;
  std::atomic<int> arrived_{0}, inferred_{0};
};

using Lives = std::vector<std::unique_ptr<Live>>;

void watch(const Lives &lives, Clock::time_point end) {
  while (Clock::now() < end) {
    for (const auto &live : lives) live->handle_messages();
    std::this_thread::sleep_for(5ms);
  }
}

/// All cases at once, as the engine sleeps, on a source of 25 frames a second.
void run_cases(std::chrono::milliseconds step, const std::vector<Case> &cases) {
  constexpr auto kTime = 3000ms;
  engine->step_time = step;
  Lives lives;
  for (const Case &c : cases)
    lives.push_back(std::make_unique<Live>(
        kCamera, std::string("late-policy=") + c.policy + " latency=" + c.latency + "000000" +
                     " max-in-flight=" + std::to_string(c.in_flight)));
  watch(lives, Clock::now() + kTime);
  const int possible = int(kTime / std::max(step, 40ms));
  for (size_t i = 0; i < cases.size(); ++i) {
    const Case &c = cases[i];
    const Live &live = *lives[i];
    g_print("\n   %-6s latency %3s, %d in flight: %3d arrived, %2d inferred of %2d", c.policy,
            c.latency, c.in_flight, live.arrived(), live.inferred(), possible);
    fail_unless(live.inferred() >= possible / 2);
    // One for each that came, but for those still on their way.
    if (!g_str_equal(c.policy, "drop")) fail_unless(live.arrived() >= 40);
  }
}

}  // namespace

POINT(I3_an_engine_faster_than_the_source) {
  run_cases(15ms, {{"scale", "0", 1},
                   {"scale", "0", 2},
                   {"repeat", "0", 8},
                   {"scale", "200", 1},
                   {"drop", "200", 2},
                   {"scale", "200", 8}});
}

POINT(I3_an_engine_slower_than_the_source) {
  run_cases(150ms, {{"scale", "0", 1},
                    {"repeat", "0", 2},
                    {"scale", "0", 8},
                    {"drop", "300", 1},
                    {"scale", "300", 2},
                    {"repeat", "300", 8}});
}

POINT(I3_a_source_that_comes_in_bursts) {
  // Five frames at once, each fifth of a second; it says so in its latency.
  engine->step_time = 15ms;
  Lives lives;
  for (const char *properties : {"latency=0 max-in-flight=1", "latency=0 max-in-flight=8",
                                 "latency=100000000 max-in-flight=2"})
    lives.push_back(std::make_unique<Live>(
        "appsrc name=src is-live=true format=time min-latency=200000000 "
        "caps=video/x-raw,format=RGB,width=16,height=12,framerate=25/1 ! queue ! ",
        std::string("late-policy=scale ") + properties));
  const GstVideoInfo info = info_of("format=RGB,width=16,height=12");
  unsigned pushed = 0;
  const auto start = Clock::now();
  std::vector<GstClockTime> first(lives.size());
  for (int burst = 1; burst <= 12; ++burst) {
    watch(lives, start + burst * 200ms);
    for (int i = 0; i < 5; ++i, ++pushed) {
      for (size_t n = 0; n < lives.size(); ++n) {
        // The oldest frame of a burst is as old as the source says.
        if (pushed == 0) first[n] = lives[n]->running_time() - 5 * kFrame;
        GstElement *source = gst_bin_get_by_name(GST_BIN(lives[n]->pipeline()), "src");
        GstBuffer *buffer = pattern_new(info, first[n] + pushed * kFrame, pushed);
        GstFlowReturn flow;
        g_signal_emit_by_name(source, "push-buffer", buffer, &flow);
        gst_buffer_unref(buffer);
        gst_object_unref(source);
      }
    }
  }
  for (const auto &live : lives) {
    g_print("\n   %2d of %u inferred", live->inferred(), pushed);
    fail_unless(live->inferred() >= int(pushed) / 2);
  }
}

POINT(I3_a_slow_spell_is_forgotten) {
  // Whether the settings were to blame or the machine was busy.
  for (const bool settings : {true, false}) {
    engine->step_time = settings ? 10ms : 400ms;
    Lives lives;
    lives.push_back(std::make_unique<Live>(
        kCamera,
        std::string("late-policy=scale latency=100000000 ") + (settings ? "steps=40" : "")));
    Live &live = *lives[0];
    wait_until([&] {
      live.handle_messages();
      return live.arrived() >= 30;
    });
    fail_unless(live.inferred() <= 5, "%d", live.inferred());
    if (settings)
      g_object_set(live.up(), "steps", 1, nullptr);
    else
      engine->step_time = 10ms;
    const int before = live.inferred(), from = live.arrived();
    wait_until([&] {
      live.handle_messages();
      return live.inferred() >= before + 30;
    });
    g_print("\n   30 inferred of %d", live.arrived() - from);
    // A second, and what was on its way, went by before.
    fail_unless(live.arrived() - from < 30 + 45, "%d", live.arrived() - from);
  }
}

POINT(I3_after_a_flushing_seek_frames_are_not_late) {
  engine->step_time = 10ms;
  for (const char *properties :
       {"latency=0 max-in-flight=1", "latency=0 max-in-flight=8", "latency=100000000"}) {
    for (const char *source : {kCamera,
                               "videotestsrc name=src pattern=snow ! "
                               "video/x-raw,format=RGB,width=16,height=12,framerate=25/1 "
                               "! "}) {
      Lives lives;
      lives.push_back(
          std::make_unique<Live>(source, std::string("late-policy=scale ") + properties));
      Live &live = *lives[0];
      const auto infer = [&](int frames) {
        const int before = live.inferred(), from = live.arrived();
        wait_until([&] {
          live.handle_messages();
          return live.inferred() >= before + frames;
        });
        return live.arrived() - from;
      };
      infer(25);  // measuring included
      fail_unless(
          gst_element_seek_simple(live.pipeline(), GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, 0));
      const int arrived = infer(20);
      g_print("\n   20 inferred of %d", arrived);
      fail_unless(arrived <= 40, "%d", arrived);
    }
  }
}

int main() { return run_suite("pace"); }
