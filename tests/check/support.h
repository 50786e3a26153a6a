#pragma once

#include <gst/check/gstcheck.h>
#include <gst/check/gstharness.h>
#include <gst/video/video.h>
#undef fail  // check's macro breaks the standard library's headers

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fake/fake_engine.h"
#include "gst/livepeerupscale.h"
#include "gstlivepeerupscale.h"
#include "runtime/runtime.h"

/// A fresh engine for each test; the element's models come from it.
extern std::shared_ptr<livepeer::FakeEngine> engine;

/// A test; its name begins with the promise that it proves, see README.md.
#define POINT(name)                                                         \
  static void name##_body();                                                \
  static void name(int) {                                                   \
    tcase_fn_start(#name, __FILE__, __LINE__);                              \
    run_point(#name, name##_body);                                          \
  }                                                                         \
  [[maybe_unused]] static const bool name##_added = add_point(#name, name); \
  static void name##_body()
void run_point(const char *name, void (*body)());
bool add_point(const char *name, TFun function);

/// Runs the program's points in this process, then fails if the leaks tracer (when it is on) finds
/// an object left over. Criticals and warnings of GLib fail a test.
int run_suite(const char *name);

/// A harness with the element, playing, in `caps` (e.g. "format=RGB,width=8,height=6"), with
/// safety-check off and a fixed seed of 0. Properties are "name=value" words.
GstHarness *harness_new(const std::string &caps, const std::string &properties = {});
GstElement *element_new(const std::string &properties = {});

/// Full caps from the short form above.
std::string raw_caps(const std::string &fields);

/// A frame of `info` whose pixel (x, y) has R = 3x, G = 5y, B = 7(x + y) + variant, A = 255.
GstBuffer *pattern_new(const GstVideoInfo &info, GstClockTime pts, unsigned variant = 0);
GstVideoInfo info_of(const std::string &fields);
/// The output pixel (x, y) of a pattern through the fake engine.
void expect_pattern(GstBuffer *buffer, const GstVideoInfo &info, unsigned variant = 0);

/// Milliseconds after which a test gives a wait up. Not what anything should take: a machine that
/// does other work, too, may take its time.
constexpr double kGiveUp = 60000;
/// The same for GStreamer.
constexpr GstClockTime kGiveUpTime = GstClockTime(kGiveUp) * GST_MSECOND;

/// Milliseconds that what must not wait for the engine may take.
constexpr double kAtOnce = 100;

/// Lets the element go on as if it had been playing for ten seconds, with the system's clock.
void play_since_ten_seconds(GstHarness *h);

/// One message of `type`, or the test fails.
GstMessage *wait_message(GstBus *bus, GstMessageType type);
/// Expects an error on the bus now, in this domain and code, with both texts; frees it.
void expect_error(GstBus *bus, GQuark domain, gint code);
/// Expects an element with these properties not to start, for such an error.
void expect_no_start(const std::string &properties, GQuark domain, gint code);
/// A harness whose element has a bus, for tests that expect messages.
struct BusHarness {
  explicit BusHarness(const std::string &caps, const std::string &properties = {});
  ~BusHarness();
  GstHarness *h;
  GstBus *bus;
};

/// Waits for all that was pushed before; false where a flush came between.
bool drain(GstHarness *harness);

guint64 stat(GstElement *element, const char *name);

using Clock = std::chrono::steady_clock;
/// Runs a pipeline to its end of stream; the checksum of each buffer at the sink pad of its element
/// `out`, in order. Fails the test on an error.
std::vector<guint32> run_pipeline(const std::string &launch);
/// The same in two halves, for tests that do something meanwhile.
GstElement *pipeline_new(const std::string &launch);
void expect_eos(GstElement *pipeline);
void pipeline_free(GstElement *pipeline);

/// Milliseconds since `start`.
double elapsed_ms(Clock::time_point start);
/// Waits until the condition holds; for what another thread does.
void wait_until(const std::function<bool()> &condition);
/// Fails unless one of ten tries takes at most `limit` milliseconds: the element is held to its
/// times, but not to what other work of the machine adds to one try. `attempt` returns what it
/// took.
void expect_within(double limit, const std::function<double()> &attempt);
