#include "codes.h"

namespace {

/// Lines of a format as packing takes them: four numbers a pixel, alpha first, of 8 or 16 bits.
class Line {
 public:
  Line(const GstVideoInfo &info)
      : format_(info.finfo),
        deep_(GST_VIDEO_FORMAT_INFO_BITS(gst_video_format_get_info(format_->unpack_format)) == 16),
        width_(info.width),
        memory_(size_t(info.width) * 8) {}
  void set(int x, guint c, guint code) {
    const guint value = code << (bits() - GST_VIDEO_FORMAT_INFO_DEPTH(format_, c));
    const size_t i = size_t(x) * 4 + (c + 1) % 4;
    if (deep_)
      reinterpret_cast<guint16 *>(memory_.data())[i] = guint16(value);
    else
      memory_[i] = guint8(value);
  }
  guint get(int x, guint c) const {
    const size_t i = size_t(x) * 4 + (c + 1) % 4;
    const guint value = deep_ ? reinterpret_cast<const guint16 *>(memory_.data())[i] : memory_[i];
    return value >> (bits() - GST_VIDEO_FORMAT_INFO_DEPTH(format_, c));
  }
  void pack(GstVideoFrame &frame, int y) {
    format_->pack_func(format_, GST_VIDEO_PACK_FLAG_NONE, memory_.data(), 0, frame.data,
                       frame.info.stride, frame.info.chroma_site, y, width_);
  }
  void unpack(const GstVideoFrame &frame, int y) {
    format_->unpack_func(format_, GST_VIDEO_PACK_FLAG_NONE, memory_.data(), frame.data,
                         frame.info.stride, 0, y, width_);
  }

 private:
  guint bits() const { return deep_ ? 16 : 8; }
  const GstVideoFormatInfo *format_;
  const bool deep_;
  const int width_;
  std::vector<guint8> memory_;
};

}  // namespace

GstBuffer *buffer_of(const GstVideoInfo &info, const CodeOf &code) {
  GstBuffer *buffer = gst_buffer_new_allocate(nullptr, GST_VIDEO_INFO_SIZE(&info), nullptr);
  gst_buffer_memset(buffer, 0, 0, GST_VIDEO_INFO_SIZE(&info));
  GstVideoFrame frame;
  fail_unless(gst_video_frame_map(&frame, &info, buffer, GST_MAP_WRITE));
  Line line(info);
  for (int y = 0; y < info.height; ++y) {
    for (int x = 0; x < info.width; ++x)
      for (guint c = 0; c < GST_VIDEO_INFO_N_COMPONENTS(&info); ++c) line.set(x, c, code(x, y, c));
    line.pack(frame, y);
  }
  gst_video_frame_unmap(&frame);
  GST_BUFFER_PTS(buffer) = 0;
  return buffer;
}

Codes::Codes(GstBuffer *buffer, const GstVideoInfo &info)
    : width(info.width), components(GST_VIDEO_INFO_N_COMPONENTS(&info)) {
  GstVideoFrame frame;
  fail_unless(gst_video_frame_map(&frame, &info, buffer, GST_MAP_READ));
  Line line(info);
  for (int y = 0; y < info.height; ++y) {
    line.unpack(frame, y);
    for (int x = 0; x < width; ++x)
      for (guint c = 0; c < components; ++c) values.push_back(line.get(x, c));
  }
  gst_video_frame_unmap(&frame);
}

std::string size_of(int width, int height) {
  return ",width=" + std::to_string(width) + ",height=" + std::to_string(height);
}

GstVideoInfo output_info(GstHarness *h) {
  GstCaps *caps = gst_pad_get_current_caps(h->sinkpad);
  GstVideoInfo info;
  fail_unless(caps && gst_video_info_from_caps(&info, caps));
  gst_caps_unref(caps);
  return info;
}

Codes upscaled(const std::string &fields, const CodeOf &code) {
  GstHarness *h = harness_new(fields);
  GstBuffer *out = gst_harness_push_and_pull(h, buffer_of(info_of(fields), code));
  fail_unless(out != nullptr, "%s", fields.c_str());
  const Codes codes(out, output_info(h));
  gst_buffer_unref(out);
  gst_harness_teardown(h);
  return codes;
}
