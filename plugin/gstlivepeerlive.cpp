#include "gstlivepeerlive.h"

#include <algorithm>

LiveTiming::~LiveTiming() { gst_clear_object(&clock_); }

void LiveTiming::reset() {
  std::lock_guard<std::mutex> lock(mutex_);
  latency_ = 0;
  base_time_is_old_ = false;
}

void LiveTiming::play(GstClock *clock, GstClockTime base_time) {
  std::lock_guard<std::mutex> lock(mutex_);
  gst_object_replace(reinterpret_cast<GstObject **>(&clock_), reinterpret_cast<GstObject *>(clock));
  base_time_ = base_time;
  base_time_is_old_ = false;
}

void LiveTiming::pause() {
  std::lock_guard<std::mutex> lock(mutex_);
  gst_clear_object(&clock_);
}

void LiveTiming::set_base_time(GstClockTime base_time) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (base_time == base_time_) return;
  base_time_ = base_time;
  base_time_is_old_ = false;
}

void LiveTiming::set_pipeline_latency(GstClockTime latency) {
  std::lock_guard<std::mutex> lock(mutex_);
  latency_ = latency;
}

void LiveTiming::expect_base_time() {
  std::lock_guard<std::mutex> lock(mutex_);
  base_time_is_old_ = true;
}

bool LiveTiming::lateness(GstClockTime running_time, GstClockTime at_least,
                          std::chrono::nanoseconds from_now, GstClockTimeDiff *late) const {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!clock_ || base_time_is_old_ || !GST_CLOCK_TIME_IS_VALID(running_time)) return false;
  const GstClockTime deadline = base_time_ + running_time + std::max(latency_, at_least);
  *late = GST_CLOCK_DIFF(deadline, gst_clock_get_time(clock_)) + from_now.count();
  return true;
}

bool MeasuredLatency::update(GstClockTime demand, GstClockTime now) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (demand <= latency_ && demand >= latency_ / 4 * 3) return false;
  if (GST_CLOCK_TIME_IS_VALID(changed_at_) && now - changed_at_ < GST_SECOND) return false;
  latency_ = demand;
  changed_at_ = now;
  return true;
}

GstClockTime MeasuredLatency::get() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return latency_;
}

void MeasuredLatency::reset() {
  std::lock_guard<std::mutex> lock(mutex_);
  latency_ = 0;
  changed_at_ = GST_CLOCK_TIME_NONE;
}
