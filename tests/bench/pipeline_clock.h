#pragma once

#include <gst/video/video.h>

#include <string>
#include <vector>

namespace livepeer {

/// The first frames of a pipeline make things ready, and do not count.
constexpr int kWarmUp = 2;

/// What passes from one moment to another, in seconds: on the clock, and of all processors together
/// for this process, which what else the machine does hardly changes.
struct Time {
  double wall = 0, processors = 0;
  static Time now();
};

inline Time operator-(const Time &a, const Time &b) {
  return {a.wall - b.wall, a.processors - b.processors};
}

/// The time from each frame that leaves a pipeline
///
///     appsrc name=in ! MIDDLE ! fakesink name=out sync=false
///
/// to the next, from that of kWarmUp on. The frames are opaque noise of `format`, each another, and
/// made before the clock starts. Exits with a message where the pipeline fails.
std::vector<Time> pipeline_periods(const std::string &middle, GstVideoFormat format, int width,
                                   int height, int frames);

/// Frames per second of RGB.
double pipeline_fps(const std::string &middle, int width, int height, int frames);

}  // namespace livepeer
