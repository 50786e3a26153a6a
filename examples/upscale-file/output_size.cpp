#include "output_size.h"

#include <gst/video/video.h>

#include <algorithm>
#include <cmath>

#include "failure.h"

namespace upscale_file {
namespace {

GstVideoInfo info_of(GstCaps *frame) {
  GstVideoInfo info;
  if (!gst_video_info_from_caps(&info, frame))
    throw Failure("the input's frames are of a kind that GStreamer does not know");
  return info;
}

int rounded(double side, bool even) {
  const int step = even ? 2 : 1;
  // Video encoders refuse less than 16.
  return std::max(int(std::lround(side / step)) * step, even ? 16 : 1);
}

}  // namespace

OutputSize output_size(GstCaps *frame, const Options &options, bool even) {
  const GstVideoInfo info = info_of(frame);
  if (options.width == 0)
    return {rounded(info.width * options.scale, even), rounded(info.height * options.scale, even),
            info.par_n, info.par_d};
  const double seen = double(info.width) * info.par_n / info.par_d;
  const double scale = std::min({options.width / seen, double(options.height) / info.height, 4.0});
  return {rounded(seen * scale, even), rounded(info.height * scale, even), 1, 1};
}

bool is_deep(GstCaps *frame) {
  const GstVideoInfo info = info_of(frame);
  return GST_VIDEO_INFO_COMP_DEPTH(&info, 0) > 8;
}

}  // namespace upscale_file
