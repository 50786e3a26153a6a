#include "animation.h"

#include <gdk-pixbuf/gdk-pixbuf.h>
#include <gst/video/video.h>

#include <algorithm>
#include <string_view>

#include "failure.h"
#include "text.h"

namespace upscale_file {
namespace {

using AnimationPtr = std::unique_ptr<GdkPixbufAnimation, UnrefObject>;
using IterPtr = std::unique_ptr<GdkPixbufAnimationIter, UnrefObject>;

/// Reads numbers out of a file in memory; beyond its end there are zeros.
class Bytes {
 public:
  explicit Bytes(std::string_view data) : data_(data) {}
  unsigned at(size_t place) const {
    return place < data_.size() ? static_cast<unsigned char>(data_[place]) : 0;
  }
  unsigned big(size_t place) const {
    return at(place) << 24 | at(place + 1) << 16 | at(place + 2) << 8 | at(place + 3);
  }
  unsigned little(size_t place) const {
    return at(place + 3) << 24 | at(place + 2) << 16 | at(place + 1) << 8 | at(place);
  }
  std::string_view word(size_t place) const {
    return place < data_.size() ? data_.substr(place, 4) : "";
  }
  size_t size() const { return data_.size(); }

 private:
  const std::string_view data_;
};

size_t gif_colours(unsigned flags) { return flags & 0x80 ? size_t(3) << ((flags & 7) + 1) : 0; }

unsigned gif_frames(const Bytes &file) {
  unsigned frames = 0;
  size_t place = 13 + gif_colours(file.at(10));
  while (place < file.size() && file.at(place) != 0x3b) {
    const bool image = file.at(place) == 0x2c;
    place += image ? 11 + gif_colours(file.at(place + 9)) : 2;
    while (place < file.size() && file.at(place) != 0) place += file.at(place) + 1;
    place++;
    if (image) frames++;
  }
  return frames;
}

unsigned webp_frames(const Bytes &file) {
  unsigned frames = 0;
  for (size_t place = 12; place + 8 <= file.size();
       place += 8 + (size_t(file.little(place + 4)) + 1) / 2 * 2)
    if (file.word(place) == "ANMF") frames++;
  return frames;
}

unsigned png_frames(const Bytes &file) {
  for (size_t place = 8; place + 8 <= file.size() && file.word(place + 4) != "IDAT";
       place += 12 + size_t(file.big(place)))
    if (file.word(place + 4) == "acTL") return file.big(place + 8);
  return 1;
}

unsigned count_frames(const std::string &path) {
  g_autoptr(GMappedFile) mapped = g_mapped_file_new(path.c_str(), FALSE, nullptr);
  if (!mapped) return 0;
  const Bytes file({g_mapped_file_get_contents(mapped), g_mapped_file_get_length(mapped)});
  if (file.word(0) == "GIF8") return gif_frames(file);
  if (file.word(0) == "RIFF") return webp_frames(file);
  return file.word(0) == "\x89PNG" ? png_frames(file) : 1;
}

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
  state_->frames = count_frames(path);
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

bool is_animated(const std::string &path) { return count_frames(path) > 1; }

}  // namespace upscale_file
