#pragma once

#include <gst/video/video.h>

#include <array>
#include <memory>
#include <vector>

#include "gstlivepeerlight.h"
#include "runtime/frame.h"

/// A buffer mapped as a frame of `info`, for as long as this lives; false where it cannot be.
class MappedFrame {
 public:
  MappedFrame(const GstVideoInfo &info, GstBuffer *buffer, GstMapFlags flags)
      : mapped_(gst_video_frame_map(&frame_, &info, buffer, flags)) {}
  ~MappedFrame() {
    if (mapped_) gst_video_frame_unmap(&frame_);
  }
  MappedFrame(const MappedFrame &) = delete;
  MappedFrame &operator=(const MappedFrame &) = delete;
  explicit operator bool() const { return mapped_; }
  GstVideoFrame &operator*() { return frame_; }
  // A video meta may say another size than the caps.
  int width() const { return GST_VIDEO_FRAME_WIDTH(&frame_); }
  int height() const { return GST_VIDEO_FRAME_HEIGHT(&frame_); }

 private:
  GstVideoFrame frame_;
  const bool mapped_;
};

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
  /// `light`: that of `info`. `n_threads`: 0: as many as there are processors.
  PixelReader(const GstVideoInfo &info, std::shared_ptr<const LightScale> light,
              unsigned n_threads);
  /// `frame` has the format and size; `alpha`, of as many bytes a number as `pixels`, stays empty
  /// where the format has none.
  void read(const GstVideoFrame &frame, livepeer::Frame &pixels, livepeer::Bytes &alpha) const;

 private:
  template <typename T>
  void read_rows(const GstVideoFrame &frame, livepeer::Frame &pixels, livepeer::Bytes &alpha) const;

  GstVideoInfo info_;
  std::shared_ptr<const LightScale> light_;
  unsigned n_threads_;
  std::shared_ptr<GstVideoChromaResample> chroma_;  // null: as much chroma as luma
};

/// Writes them.
class PixelWriter {
 public:
  PixelWriter(const GstVideoInfo &info, std::shared_ptr<const LightScale> light,
              unsigned n_threads);
  /// `frame` has the format and the size of `pixels`, which come from a reader of the same format
  /// and colours, four times as wide and high; so does `alpha`. `low_res`: what they were made
  /// from, which bounds them, or null.
  void write(const livepeer::Frame &pixels, const livepeer::Frame *low_res,
             const livepeer::Bytes &alpha, GstVideoFrame *frame) const;

 private:
  template <typename T>
  void write_rows(const livepeer::Frame &pixels, const livepeer::Frame *low_res,
                  const guint16 *alpha, GstVideoFrame *frame, int first, int last) const;

  GstVideoInfo info_;
  std::shared_ptr<const LightScale> light_;
  unsigned n_threads_;
  std::shared_ptr<GstVideoChromaResample> chroma_;
};
