#include "animation.h"

#include <gdk-pixbuf/gdk-pixbuf.h>
#include <gst/video/video.h>

#include <algorithm>

#include "failure.h"
#include "picture_bytes.h"
#include "text.h"

namespace upscale_file {
namespace {

using AnimationPtr = std::unique_ptr<GdkPixbufAnimation, UnrefObject>;
using IterPtr = std::unique_ptr<GdkPixbufAnimationIter, UnrefObject>;

SamplePtr sample_of(GdkPixbuf *pixbuf, GstClockTime time, GstClockTime duration) {
  const int width = gdk_pixbuf_get_width(pixbuf), height = gdk_pixbuf_get_height(pixbuf);
  const bool alpha = gdk_pixbuf_get_has_alpha(pixbuf);
  GstVideoInfo info;
  gst_video_info_set_format(&info, alpha ? GST_VIDEO_FORMAT_RGBA : GST_VIDEO_FORMAT_RGB,
                            guint(width), guint(height));
  const BufferPtr buffer(gst_buffer_new_allocate(nullptr, info.size, nullptr));
  GstVideoFrame frame;
  if (!buffer || !gst_video_frame_map(&frame, &info, buffer.get(), GST_MAP_WRITE))
    throw Failure("there is no memory for a frame");
  for (int y = 0; y < height; y++)
    std::copy_n(
        gdk_pixbuf_read_pixels(pixbuf) + size_t(y) * size_t(gdk_pixbuf_get_rowstride(pixbuf)),
        width * (alpha ? 4 : 3),
        static_cast<guint8 *>(GST_VIDEO_FRAME_PLANE_DATA(&frame, 0)) +
            y * GST_VIDEO_FRAME_PLANE_STRIDE(&frame, 0));
  gst_video_frame_unmap(&frame);
  GST_BUFFER_PTS(buffer.get()) = time;
  GST_BUFFER_DURATION(buffer.get()) = duration;
  const CapsPtr caps(gst_video_info_to_caps(&info));
  return SamplePtr(gst_sample_new(buffer.get(), caps.get(), nullptr, nullptr));
}

}  // namespace

// gdk-pixbuf asks for the time of day as GLib had it before 2038 came near.
G_GNUC_BEGIN_IGNORE_DEPRECATIONS

struct Animation::State {
  AnimationPtr animation;
  IterPtr iter;
  GTimeVal now = {0, 0};
  unsigned frames = 0, taken = 0;
  GstClockTime time = 0;
};

Animation::Animation(const std::string &path) : state_(std::make_unique<State>()) {
  g_autoptr(GError) error = nullptr;
  state_->frames = picture_frames(path);
  state_->animation.reset(gdk_pixbuf_animation_new_from_file(path.c_str(), &error));
  if (!state_->animation)
    throw Failure("'" + shown(path) + "' cannot be decoded: " + error->message +
                  " (webp-pixbuf-loader reads WebP)");
  state_->iter.reset(gdk_pixbuf_animation_get_iter(state_->animation.get(), &state_->now));
}

Animation::~Animation() = default;

unsigned Animation::frames() const { return state_->frames; }

SamplePtr Animation::next() {
  State &state = *state_;
  if (state.taken == state.frames) return nullptr;
  const int delay = std::max(gdk_pixbuf_animation_iter_get_delay_time(state.iter.get()), 10);
  const GstClockTime duration = GstClockTime(delay) * GST_MSECOND;
  SamplePtr sample =
      sample_of(gdk_pixbuf_animation_iter_get_pixbuf(state.iter.get()), state.time, duration);
  g_time_val_add(&state.now, glong(delay) * 1000);
  gdk_pixbuf_animation_iter_advance(state.iter.get(), &state.now);
  state.time += duration;
  state.taken++;
  return sample;
}

G_GNUC_END_IGNORE_DEPRECATIONS

}  // namespace upscale_file
