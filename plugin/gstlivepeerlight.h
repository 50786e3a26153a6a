#pragma once

#include <gst/video/video.h>

#include <vector>

#include "gstlivepeercolours.h"
#include "runtime/frame.h"

/// The engine's numbers of one kind of video: which light they stand for, and which numbers an
/// enlarged pixel may have.
///
/// Networks have learnt from pictures for screens. High dynamic range reaches them on the curve of
/// HLG, which was made so that such screens show something sensible: up to its knee it is the
/// square root that they expect, above it highlights are compressed. HLG video is on it already; PQ
/// is put on it with 1,000 cd/m2 at 1 and 10,000 at 1.41.
class LightScale {
 public:
  /// Bounds of the numbers of a row of pixels, three a pixel.
  struct Bounds {
    std::vector<guint16> least, most;
  };

  explicit LightScale(const GstVideoInfo &info);
  const livepeer::Samples &samples() const { return samples_; }

  /// The engine's numbers for RGB of the video's own curve, numbers of its Colours.
  void to_engine(guint16 *rgb, size_t count) const;
  /// The way back.
  float to_video(guint16 number) const {
    return to_video_.empty() ? float(number) : to_video_[number];
  }

  /// Of all pixels that are made from pixel row `y` of the engine's input. Beyond black and white a
  /// model may go an eighth of the contrast around further than its input does there. In high
  /// dynamic range, where its overshoot would be lit, it has to stay as bright as the pixels
  /// around, but for 6 % of their contrast; false where nothing bounds the numbers.
  bool bounds(const livepeer::Frame &low_res, int y, Bounds &bounds) const;

 private:
  guint16 number_of(double value) const;

  bool hdr_;
  livepeer::Samples samples_;
  std::vector<guint16> to_engine_;  // of PQ, else empty
  std::vector<float> to_video_;     // of PQ, else empty
  std::vector<float> light_;        // of each number, in high dynamic range
};
