#pragma once

#include <gst/gst.h>

#include <string>

namespace livepeer {

/// Frames per second that leave a pipeline
///
///     appsrc name=in ! MIDDLE ! fakesink name=out sync=false
///
/// once it runs: the first two of `frames` do not count. The frames are noise, RGB, each another,
/// and made before the clock starts. Exits with a message where the pipeline fails.
double pipeline_fps(const std::string &middle, int width, int height, int frames);

}  // namespace livepeer
