#pragma once

#include <gst/video/video.h>

#include <array>

#include "runtime/frame.h"

/// Between the components of a video format and RGB: r = m[0] * a + m[1] * b + m[2] * c + m[3].
using AffineMap = std::array<std::array<double, 4>, 3>;

/// What the components of a format mean. In both maps components are 0 for their least and 1 for
/// their largest code; RGB is 0 for black and 1 for white.
struct Colours {
  AffineMap to_rgb, from_rgb;
  /// That of RGB which the codes can make: beyond 0 and 1 where a range or a matrix leaves room.
  double lowest = 0, highest = 1;

  /// The engine's 16-bit numbers that hold all of it.
  livepeer::Samples samples() const { return {2, float(lowest), float(highest)}; }
};

/// PQ or HLG.
bool gst_livepeer_is_hdr(const GstVideoInfo &info);

/// The colours of `info` as its own colorimetry has them: by range and matrix for YUV and for grey,
/// whose R, G and B are equal; the codes themselves for RGB, by their range in high dynamic range.
Colours gst_livepeer_colours_of(const GstVideoInfo &info);
