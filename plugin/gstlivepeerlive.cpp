#include "gstlivepeerlive.h"

#include <algorithm>

LiveTiming::~LiveTiming() { gst_clear_object(&clock_); }

void LiveTiming::play(GstClock *clock, GstClockTime base_time) {
  std::lock_guard<std::mutex> lock(mutex_);
  gst_object_replace(reinterpret_cast<GstObject **>(&clock_), reinterpret_cast<GstObject *>(clock));
  base_time_ = base_time;
}

void LiveTiming::pause() { play(nullptr, 0); }

void LiveTiming::set_pipeline_latency(GstClockTime latency) {
  std::lock_guard<std::mutex> lock(mutex_);
  latency_ = latency;
}

bool LiveTiming::lateness(GstClockTime running_time, GstClockTime at_least,
                          std::chrono::nanoseconds from_now, GstClockTimeDiff *late) const {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!clock_ || !GST_CLOCK_TIME_IS_VALID(running_time)) return false;
  const GstClockTime deadline = base_time_ + running_time + std::max(latency_, at_least);
  *late = GST_CLOCK_DIFF(deadline, gst_clock_get_time(clock_)) + from_now.count();
  return true;
}

bool MeasuredLatency::update(GstClockTime mean, GstClockTime now) {
  const GstClockTime wanted = mean + mean / 20;
  std::lock_guard<std::mutex> lock(mutex_);
  if (wanted <= latency_ && wanted >= latency_ / 4 * 3) return false;
  if (GST_CLOCK_TIME_IS_VALID(changed_at_) && now - changed_at_ < GST_SECOND) return false;
  latency_ = wanted;
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
