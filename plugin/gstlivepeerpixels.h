#pragma once

#include <gst/video/video.h>

#include <array>
#include <memory>
#include <vector>

#include "gstlivepeerlight.h"
#include "runtime/frame.h"

/// Whether video holds what the engine takes as it is: 8 bits of R, G and B for a screen.
bool gst_livepeer_is_plain_rgb(const GstVideoInfo &info);

/// Whether pixels of a format have alpha; GStreamer's flag is missing on some.
inline bool gst_livepeer_has_alpha(const GstVideoFormatInfo *format) {
  return GST_VIDEO_FORMAT_INFO_N_COMPONENTS(format) == 4;
}

/// The engine's frames have RGB in 8 bits where the format has, and else in 16, in which every code
/// of every format finds its place: also the blacker than black and the whiter than white, and
/// colours that RGB does not have. GRAY is R = G = B.
///
/// From GStreamer come unpacking, packing and the interpolation of the chroma, as GstVideoConverter
/// has them. The arithmetic between is floating point, since its matrices have 8 bits, which codes
/// of 10 do not survive; and what is written is made a few lines at a time.

/// Reads frames of one format and size.
class PixelReader {
 public:
  /// `n_threads`: 0: as many as there are processors.
  PixelReader(const GstVideoInfo &info, unsigned n_threads);
  /// `frame` has the format and size; `alpha`, of as many bytes a number as `pixels`, stays empty
  /// where the format has none.
  void read(const GstVideoFrame &frame, livepeer::Frame &pixels, std::vector<guint8> &alpha) const;

 private:
  template <typename T>
  void read_rows(const GstVideoFrame &frame, livepeer::Frame &pixels,
                 std::vector<guint8> &alpha) const;

  GstVideoInfo info_;
  LightScale light_;
  unsigned n_threads_;
  std::shared_ptr<GstVideoChromaResample> chroma_;  // null: as much chroma as luma
};

/// Writes them.
class PixelWriter {
 public:
  PixelWriter(const GstVideoInfo &info, unsigned n_threads);
  /// `frame` has the format and the size of `pixels`, which come from a reader of the same format
  /// and colours, four times as wide and high; so does `alpha`. `low_res`: what they were made
  /// from, which bounds them, or null.
  void write(const livepeer::Frame &pixels, const livepeer::Frame *low_res,
             const std::vector<guint8> &alpha, GstVideoFrame *frame) const;

 private:
  template <typename T>
  void write_rows(const livepeer::Frame &pixels, const livepeer::Frame *low_res,
                  const guint16 *alpha, GstVideoFrame *frame, int first, int last) const;

  GstVideoInfo info_;
  LightScale light_;
  unsigned n_threads_;
  std::shared_ptr<GstVideoChromaResample> chroma_;
};
