#include "gstlivepeerpixels.h"

#include <algorithm>
#include <future>
#include <utility>

#include "gstlivepeercolours.h"
#include "gstlivepeerframe.h"
#include "runtime/machine.h"

using livepeer::Frame;

namespace {

using FloatMap = std::array<std::array<float, 4>, 3>;

constexpr int kLargest = 65535;
constexpr int kGroup = 4;  // lines that share their chroma at most, and that one line becomes

/// Work on `count` pieces by up to `n_threads` threads.
template <typename Work>
void in_parallel(unsigned n_threads, int count, Work work) {
  constexpr int kLeast = 16;  // pieces that are worth a thread
  const int parts = std::clamp(count / kLeast, 1, int(n_threads));
  std::vector<std::future<void>> others;
  const auto begin = [&](int part) { return int(gint64(count) * part / parts); };
  for (int part = 1; part < parts; ++part)
    others.push_back(std::async(std::launch::async, work, begin(part), begin(part + 1)));
  work(0, begin(1));
  for (auto &other : others) other.get();
}

guint unpacked_bits(const GstVideoFormatInfo *format) {
  return GST_VIDEO_FORMAT_INFO_BITS(gst_video_format_get_info(format->unpack_format));
}

/// Without alpha.
guint components(const GstVideoFormatInfo *format) {
  return std::min(3U, GST_VIDEO_FORMAT_INFO_N_COMPONENTS(format));
}

/// Lines as unpacking makes them: four numbers a pixel, alpha first.
template <typename T>
class Lines {
 public:
  Lines(int width, int count) : numbers_(size_t(width) * 4 * size_t(count), T(-1)) {
    for (int i = 0; i < count; ++i)
      lines_.push_back(numbers_.data() + size_t(i) * size_t(width) * 4);
  }
  T *operator[](int i) { return static_cast<T *>(lines_[size_t(i)]); }
  /// This line and those after it.
  gpointer *at(int i) { return &lines_[size_t(i)]; }

 private:
  std::vector<T> numbers_;
  std::vector<gpointer> lines_;
};

/// The code of a component, 0 .. 1 of its largest, in the upper of the bits of T, where unpacking
/// puts it and packing takes it from.
template <typename T>
struct Placed {
  Placed(const GstVideoFormatInfo *format, guint component) {
    const guint depth = GST_VIDEO_FORMAT_INFO_DEPTH(format, component);
    step = double(1 << (sizeof(T) * 8 - depth));
    largest = double((1 << depth) - 1) * step;
  }
  double step, largest;
};

/// From unpacked components to the engine's numbers.
template <typename T>
FloatMap reading_map(const GstVideoInfo &info) {
  const Colours colours = gst_livepeer_colours_of(info);
  const double range = (colours.highest - colours.lowest) / kLargest;
  FloatMap map{};
  for (size_t row = 0; row < 3; ++row) {
    for (guint i = 0; i < components(info.finfo); ++i)
      map[row][i] = float(colours.to_rgb[row][i] / range / Placed<T>(info.finfo, i).largest);
    // Half of one is added, so that cutting off rounds.
    map[row][3] = float((colours.to_rgb[row][3] - colours.lowest) / range + 0.5);
  }
  return map;
}

/// From the engine's numbers to components as packing takes them.
template <typename T>
FloatMap writing_map(const GstVideoInfo &info) {
  const Colours colours = gst_livepeer_colours_of(info);
  const double range = (colours.highest - colours.lowest) / kLargest;
  FloatMap map{};
  for (guint row = 0; row < components(info.finfo); ++row) {
    const Placed<T> placed(info.finfo, row);
    double offset = colours.from_rgb[row][3];
    for (size_t i = 0; i < 3; ++i) {
      map[row][i] = float(colours.from_rgb[row][i] * range * placed.largest);
      offset += colours.from_rgb[row][i] * colours.lowest;
    }
    // Packing cuts off what is below the code's bits.
    map[row][3] = float(offset * placed.largest + placed.step / 2);
  }
  return map;
}

inline float applied(const std::array<float, 4> &row, float a, float b, float c) {
  return row[0] * a + row[1] * b + row[2] * c + row[3];
}

template <typename T>
void read_line(const FloatMap &map, const T *line, int width, guint16 *rgb) {
  for (int x = 0; x < width; ++x, line += 4, rgb += 3) {
    const float a = line[1], b = line[2], c = line[3];
    for (size_t i = 0; i < 3; ++i)
      rgb[i] = guint16(std::clamp(applied(map[i], a, b, c), 0.0F, float(kLargest)));
  }
}

/// One line on its way out. The components lie apart, for vector instructions.
struct WrittenLine {
  explicit WrittenLine(int width) : rgb(size_t(width) * 3), codes(size_t(width)) {}
  std::vector<float> rgb;
  std::vector<int> codes;
};

/// One row of numbers as those of the video's own curve. `bounds` may be null.
void to_video(const LightScale &light, const guint16 *numbers, const LightScale::Bounds *bounds,
              WrittenLine &line) {
  const size_t width = line.codes.size();
  float *out = line.rgb.data();
  if (!bounds) {
    for (size_t x = 0; x < width; ++x, numbers += 3, ++out)
      for (size_t c = 0; c < 3; ++c) out[c * width] = light.to_video(numbers[c]);
    return;
  }
  for (size_t pixel = 0; pixel < bounds->least.size(); pixel += 3) {
    const guint16 *least = &bounds->least[pixel], *most = &bounds->most[pixel];
    for (int i = 0; i < kGroup; ++i, numbers += 3, ++out)
      for (size_t c = 0; c < 3; ++c)
        out[c * width] = light.to_video(std::min(std::max(numbers[c], least[c]), most[c]));
  }
}

/// Three components of it, as packing takes them.
template <typename T>
void make_line(const FloatMap &map, WrittenLine &line, T *out) {
  constexpr auto largest = float(T(-1));
  const size_t width = line.codes.size();
  const float *r = line.rgb.data(), *g = r + width, *b = g + width;
  int *codes = line.codes.data();
  for (size_t c = 0; c < 3; ++c) {
    const std::array<float, 4> row = map[c];
    for (size_t x = 0; x < width; ++x)
      codes[x] = int(std::min(std::max(applied(row, r[x], g[x], b[x]), 0.0F), largest));
    for (size_t x = 0; x < width; ++x) out[4 * x + 1 + c] = T(codes[x]);
  }
}

template <typename T>
void read_alpha(const GstVideoFormatInfo *format, const T *line, int width, guint16 *alpha) {
  const auto gain = float(kLargest / Placed<T>(format, 3).largest);
  for (int x = 0; x < width; ++x) alpha[x] = guint16(gain * float(line[4 * x]) + 0.5F);
}

template <typename T>
void make_alpha(const GstVideoFormatInfo *format, const guint16 *alpha, int width, T *line) {
  const Placed<T> placed(format, 3);
  const auto gain = float(placed.largest / kLargest), half = float(placed.step / 2);
  for (int x = 0; x < width; ++x) line[4 * x] = T(int(gain * float(alpha[x]) + half));
}

/// Between as much chroma as luma and what the format has, up or down; null where that is the same.
std::shared_ptr<GstVideoChromaResample> resampler_of(const GstVideoInfo &info, int direction) {
  const GstVideoFormatInfo *format = info.finfo;
  if (!GST_VIDEO_FORMAT_INFO_IS_YUV(format)) return nullptr;
  GstVideoChromaResample *resample = gst_video_chroma_resample_new(
      GST_VIDEO_CHROMA_METHOD_LINEAR, info.chroma_site, GST_VIDEO_CHROMA_FLAG_NONE,
      format->unpack_format, direction * int(GST_VIDEO_FORMAT_INFO_W_SUB(format, 1)),
      direction * int(GST_VIDEO_FORMAT_INFO_H_SUB(format, 1)));
  if (!resample) return nullptr;
  return {resample, gst_video_chroma_resample_free};
}

}  // namespace

bool gst_livepeer_is_plain_rgb(const GstVideoInfo &info) {
  const GstVideoFormatInfo *format = info.finfo;
  if (!GST_VIDEO_FORMAT_INFO_IS_RGB(format) || gst_livepeer_is_hdr(info)) return false;
  for (guint i = 0; i < GST_VIDEO_FORMAT_INFO_N_COMPONENTS(format); ++i)
    if (GST_VIDEO_FORMAT_INFO_DEPTH(format, i) != 8) return false;
  return true;
}

PixelReader::PixelReader(const GstVideoInfo &info, std::shared_ptr<const LightScale> light,
                         unsigned n_threads)
    : info_(info),
      light_(std::move(light)),
      n_threads_(n_threads > 0 ? n_threads : livepeer::available_processors()),
      chroma_(resampler_of(info, 1)) {}

void PixelReader::read(const GstVideoFrame &frame, Frame &pixels, livepeer::Bytes &alpha) const {
  const GstVideoFormatInfo *format = info_.finfo;
  const size_t count = size_t(info_.width) * size_t(info_.height);
  alpha.clear();
  if (gst_livepeer_is_plain_rgb(info_)) {
    pixels = Frame::unset(info_.width, info_.height);
    gst_livepeer_frame_get_rgb(&frame, pixels.pixels.data());
    if (!gst_livepeer_has_alpha(format)) return;
    alpha.resize(count);
    gst_livepeer_frame_get_alpha(&frame, alpha.data());
    return;
  }
  pixels = Frame::unset(info_.width, info_.height, light_->samples());
  if (gst_livepeer_has_alpha(format)) alpha.resize(count * sizeof(guint16));
  if (unpacked_bits(format) == 8)
    read_rows<guint8>(frame, pixels, alpha);
  else
    read_rows<guint16>(frame, pixels, alpha);
}

template <typename T>
void PixelReader::read_rows(const GstVideoFrame &frame, Frame &pixels,
                            livepeer::Bytes &alpha) const {
  const GstVideoFormatInfo *format = info_.finfo;
  const int width = info_.width, height = info_.height;
  auto *opacity = alpha.empty() ? nullptr : reinterpret_cast<guint16 *>(alpha.data());
  guint n_lines = 1;
  gint offset = 0;
  if (chroma_) gst_video_chroma_resample_get_info(chroma_.get(), &n_lines, &offset);
  // Chroma is interpolated in groups of lines that begin above the frame and end below it.
  const int groups = (height - offset + int(n_lines) - 1) / int(n_lines);
  const FloatMap map = reading_map<T>(info_);
  in_parallel(n_threads_, groups, [&](int first, int last) {
    Lines<T> lines(width, int(n_lines));
    for (int top = offset + first * int(n_lines); top < offset + last * int(n_lines);
         top += int(n_lines)) {
      for (int i = 0; i < int(n_lines); ++i)
        format->unpack_func(format, GST_VIDEO_PACK_FLAG_TRUNCATE_RANGE, lines[i], frame.data,
                            frame.info.stride, 0, std::clamp(top + i, 0, height - 1), width);
      if (chroma_) gst_video_chroma_resample(chroma_.get(), lines.at(0), width);
      for (int i = std::max(0, -top); i < std::min(int(n_lines), height - top); ++i) {
        read_line(map, lines[i], width, pixels.row<guint16>(top + i));
        light_->to_engine(pixels.row<guint16>(top + i), size_t(width) * 3);
        if (opacity) read_alpha(format, lines[i], width, opacity + size_t(top + i) * size_t(width));
      }
    }
  });
}

PixelWriter::PixelWriter(const GstVideoInfo &info, std::shared_ptr<const LightScale> light,
                         unsigned n_threads)
    : info_(info),
      light_(std::move(light)),
      n_threads_(n_threads > 0 ? n_threads : livepeer::available_processors()),
      chroma_(resampler_of(info, -1)) {}

void PixelWriter::write(const Frame &pixels, const Frame *low_res, const livepeer::Bytes &alpha,
                        GstVideoFrame *frame) const {
  if (gst_livepeer_is_plain_rgb(info_)) {
    gst_livepeer_frame_set(frame, pixels.pixels.data(), alpha.empty() ? nullptr : alpha.data());
    return;
  }
  const auto *opacity = alpha.empty() ? nullptr : reinterpret_cast<const guint16 *>(alpha.data());
  in_parallel(n_threads_, pixels.height / kGroup, [&](int first, int last) {
    if (unpacked_bits(info_.finfo) == 8)
      write_rows<guint8>(pixels, low_res, opacity, frame, first * kGroup, last * kGroup);
    else
      write_rows<guint16>(pixels, low_res, opacity, frame, first * kGroup, last * kGroup);
  });
}

template <typename T>
void PixelWriter::write_rows(const Frame &pixels, const Frame *low_res, const guint16 *alpha,
                             GstVideoFrame *frame, int first, int last) const {
  const GstVideoFormatInfo *format = info_.finfo;
  const FloatMap map = writing_map<T>(info_);
  const int width = pixels.width;
  Lines<T> lines(width, kGroup);
  LightScale::Bounds bounds;
  WrittenLine line(width);
  for (int y = first; y < last; y += kGroup) {
    const bool bounded = low_res && light_->bounds(*low_res, y / kGroup, bounds);
    for (int i = 0; i < kGroup; ++i) {
      to_video(*light_, pixels.row<guint16>(y + i), bounded ? &bounds : nullptr, line);
      make_line(map, line, lines[i]);
      if (alpha) make_alpha(format, alpha + size_t(y + i) * size_t(width), width, lines[i]);
    }
    if (chroma_)
      for (int i = 0; i < kGroup; i += 1 << GST_VIDEO_FORMAT_INFO_H_SUB(format, 1))
        gst_video_chroma_resample(chroma_.get(), lines.at(i), width);
    for (int i = 0; i < kGroup; ++i)
      format->pack_func(format, GST_VIDEO_PACK_FLAG_NONE, lines[i], 0, frame->data,
                        frame->info.stride, info_.chroma_site, y + i, width);
  }
}
