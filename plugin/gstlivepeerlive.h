#pragma once

#include <gst/gst.h>

#include <chrono>
#include <mutex>

/// What is needed to know whether a frame would be late: shared with the worker, which asks when it
/// is about to start the frame.
class LiveTiming {
 public:
  LiveTiming() = default;
  ~LiveTiming();
  LiveTiming(const LiveTiming &) = delete;
  LiveTiming &operator=(const LiveTiming &) = delete;

  void reset();
  /// The pipeline plays; without a clock nothing is ever late.
  void play(GstClock *clock, GstClockTime base_time);
  void pause();
  /// The element's base time, which the pipeline may set again while it plays.
  void set_base_time(GstClockTime base_time);
  /// The latency of the whole pipeline, from the LATENCY event.
  void set_pipeline_latency(GstClockTime latency);
  /// Running time begins again after a flush. The pipeline sets the base time for that only when
  /// the first frames have reached the sinks: until then nobody can tell what is late.
  void expect_base_time();

  /// How late a frame of `running_time` would be if it was ready `from_now` on; negative: in time.
  /// The pipeline's latency counts as `at_least` this: it is told late, when the first frame has
  /// reached the sinks. False when nobody can tell.
  bool lateness(GstClockTime running_time, GstClockTime at_least, std::chrono::nanoseconds from_now,
                GstClockTimeDiff *late) const;

 private:
  mutable std::mutex mutex_;
  GstClock *clock_ = nullptr;
  GstClockTime base_time_ = 0;
  GstClockTime latency_ = 0;
  bool base_time_is_old_ = false;
};

/// The latency that the element reports where the `latency` property is 0: what the engine demands
/// for a frame, raised at once, lowered when 25 % below, changed at most once a second.
class MeasuredLatency {
 public:
  /// Takes the newest demand at the monotonic time `now`; true when what get() returns has changed.
  bool update(GstClockTime demand, GstClockTime now);
  GstClockTime get() const;
  void reset();

 private:
  mutable std::mutex mutex_;
  GstClockTime latency_ = 0;
  GstClockTime changed_at_ = GST_CLOCK_TIME_NONE;
};
