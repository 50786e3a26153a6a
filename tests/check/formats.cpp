// Sections D and E: formats, colours and depth.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <random>

#include "codes.h"

namespace {

std::vector<std::string> all_formats() {
  GstElement *element = element_new();
  GstPad *pad = gst_element_get_static_pad(element, "sink");
  GstCaps *caps = gst_pad_get_pad_template_caps(pad);
  const GValue *list = gst_structure_get_value(gst_caps_get_structure(caps, 0), "format");
  std::vector<std::string> formats;
  for (guint i = 0; i < gst_value_list_get_size(list); ++i)
    formats.push_back(g_value_get_string(gst_value_list_get_value(list, i)));
  gst_caps_unref(caps);
  gst_object_unref(pad);
  gst_object_unref(element);
  return formats;
}

int distance(guint a, guint b) { return std::abs(int(a) - int(b)); }

/// One code of its own for each component, the same all over the frame.
CodeOf flat(const GstVideoFormatInfo *format) {
  return [format](int, int, guint c) {
    const guint largest = (1U << GST_VIDEO_FORMAT_INFO_DEPTH(format, c)) - 1;
    return largest * (c + 2) / 6;
  };
}

const GstVideoFormatInfo *format_info(const std::string &format) {
  const GstVideoFormatInfo *info =
      gst_video_format_get_info(gst_video_format_from_string(format.c_str()));
  fail_unless(info && info->format != GST_VIDEO_FORMAT_UNKNOWN, "%s", format.c_str());
  return info;
}

}  // namespace

POINT(E1_every_format_of_every_size) {
  for (const std::string &format : all_formats()) {
    const CodeOf code = flat(format_info(format));
    for (const auto &[width, height] : {std::pair(1, 1), {2, 3}, {7, 5}, {37, 22}}) {
      // GStreamer packs the last chroma of an odd line of it the wrong way round.
      if (format == "NV61" && width % 2 == 1) continue;
      const Codes out = upscaled("format=" + format + size_of(width, height), code);
      for (size_t i = 0; i < out.values.size(); ++i) {
        const guint wanted = code(0, 0, guint(i % out.components));
        if (distance(out.values[i], wanted) > 1)
          fail_unless(false, "%s %dx%d: %u instead of %u", format.c_str(), width, height,
                      out.values[i], wanted);
      }
    }
  }
}

POINT(E1_every_code_of_every_format_comes_back) {
  constexpr int kPatch = 16, kEdge = 5;  // chroma is interpolated near edges
  constexpr int kAcross = 6, kDown = 3;
  std::mt19937 random(5);
  for (const std::string &format : all_formats()) {
    guint codes[kDown][kAcross][4];
    const GstVideoFormatInfo *info = format_info(format);
    for (int row = 0; row < kDown; ++row)
      for (int column = 0; column < kAcross; ++column)
        for (guint c = 0; c < GST_VIDEO_FORMAT_INFO_N_COMPONENTS(info); ++c) {
          const guint largest = (1U << GST_VIDEO_FORMAT_INFO_DEPTH(info, c)) - 1;
          // In the first row the ends of the range, against each other, too.
          codes[row][column][c] = c == 3       ? largest - largest / 3  // the same all over
                                  : row > 0    ? guint(random()) & largest
                                  : column > 1 ? guint(column >> c & 1) * largest
                                               : guint(column) * largest;
        }
    const Codes out =
        upscaled("format=" + format + size_of(kPatch * kAcross, kPatch * kDown),
                 [&](int x, int y, guint c) { return codes[y / kPatch][x / kPatch][c]; });
    for (int y = 0; y < kPatch * kDown * 4; ++y)
      for (int x = 0; x < kPatch * kAcross * 4; ++x) {
        const int u = x / 4 % kPatch, v = y / 4 % kPatch;
        if (std::min(u, v) < kEdge || std::max(u, v) >= kPatch - kEdge) continue;
        for (guint c = 0; c < out.components; ++c) {
          const guint wanted = codes[y / 4 / kPatch][x / 4 / kPatch][c];
          if (distance(out.at(x, y, c), wanted) > 1)
            fail_unless(false, "%s: component %u at (%d, %d) is %u, not %u", format.c_str(), c, x,
                        y, out.at(x, y, c), wanted);
        }
      }
  }
}

namespace {

/// Mean R, G and B, 0 .. 255, of a buffer as GStreamer's converter understands it by its caps.
std::array<double, 3> mean_colour(GstBuffer *buffer, GstVideoInfo info) {
  GstVideoInfo rgb;
  gst_video_info_set_format(&rgb, GST_VIDEO_FORMAT_RGB, guint(info.width), guint(info.height));
  rgb.fps_n = info.fps_n;
  rgb.fps_d = info.fps_d;
  GstVideoConverter *converter = gst_video_converter_new(&info, &rgb, nullptr);
  GstBuffer *converted = gst_buffer_new_allocate(nullptr, GST_VIDEO_INFO_SIZE(&rgb), nullptr);
  GstVideoFrame from, to;
  fail_unless(gst_video_frame_map(&from, &info, buffer, GST_MAP_READ));
  fail_unless(gst_video_frame_map(&to, &rgb, converted, GST_MAP_WRITE));
  gst_video_converter_frame(converter, &from, &to);
  gst_video_frame_unmap(&from);
  gst_video_frame_unmap(&to);
  gst_video_converter_free(converter);
  const Codes codes(converted, rgb);
  gst_buffer_unref(converted);
  std::array<double, 3> mean{};
  for (size_t i = 0; i < codes.values.size(); ++i) mean[i % 3] += codes.values[i];
  for (double &sum : mean) sum /= double(codes.values.size() / 3);
  return mean;
}

/// Expects patches of colour that come out of the element to be seen as those that go in.
void expect_colours(const std::string &fields) {
  GstHarness *h = harness_new(fields);
  const GstVideoInfo info = info_of(fields);
  const guint shift = GST_VIDEO_INFO_COMP_DEPTH(&info, 0) - 8;
  for (const std::array<guint, 3> &patch : {std::array{81U, 90U, 240U},
                                            {145U, 54U, 34U},
                                            {41U, 240U, 110U},
                                            {180U, 128U, 128U},
                                            {120U, 100U, 150U}}) {
    const CodeOf code = [&](int, int, guint c) { return c < 3 ? patch[c] << shift : 255U; };
    GstBuffer *in = buffer_of(info, code);
    const std::array<double, 3> before = mean_colour(in, info);
    GstBuffer *out = gst_harness_push_and_pull(h, in);
    const std::array<double, 3> after = mean_colour(out, output_info(h));
    for (size_t c = 0; c < 3; ++c)
      fail_unless(std::abs(before[c] - after[c]) <= 1, "%s: %f becomes %f", fields.c_str(),
                  before[c], after[c]);
    gst_buffer_unref(out);
  }
  gst_harness_teardown(h);
}

}  // namespace

POINT(D4_what_caps_do_not_tell_of_colours_is_told_of_the_output) {
  // GStreamer takes low pictures for bt601 and higher ones for bt709.
  for (const char *size : {",width=16,height=180", ",width=16,height=576", ",width=8,height=720"}) {
    for (const char *format : {"I420", "NV12", "YUY2", "Y444", "v210", "P010_10LE", "AYUV"}) {
      const std::string fields = std::string("format=") + format + size;
      const GstVideoInfo in = info_of(fields);
      GstHarness *h = harness_new(fields);
      GstVideoInfo out = output_info(h);
      fail_unless(gst_video_colorimetry_is_equal(&in.colorimetry, &out.colorimetry), "%s",
                  fields.c_str());
      fail_unless_equals_int(in.chroma_site, out.chroma_site);
      gst_harness_teardown(h);
    }
  }
  expect_colours("format=I420,width=16,height=180");
  expect_colours("format=I420,width=8,height=720");
  expect_colours("format=P010_10LE,width=8,height=576");
}

POINT(D4_colours_stay_as_they_are_told) {
  std::vector<std::string> sites;
  for (const int site :
       {1, 2, 4, 6, 8, 10, 12, 14}) {  // none, or horizontal 2, vertical 4, lines 8
    gchar *name = gst_video_chroma_site_to_string(GstVideoChromaSite(site));
    sites.push_back(name);
    g_free(name);
  }
  // Range, matrix, transfer function and primaries: as broadcast, and of the full range.
  for (const char *colorimetry : {"bt601", "bt709", "bt2020", "1:4:16:4", "1:3:5:1", "1:6:13:7"}) {
    for (const char *format : {"I420", "NV12", "Y42B", "Y444", "AYUV", "I420_10LE", "v210", "Y41B"})
      for (const std::string &site : sites)
        expect_colours(std::string("format=") + format +
                       ",width=16,height=16,colorimetry=" + colorimetry + ",chroma-site=" + site);
    expect_colours(std::string("format=GRAY8,width=16,height=16,colorimetry=") + colorimetry);
  }
}

POINT(D4_unknown_colours_are_not_invented_for_rgb) {
  GstHarness *h = harness_new("format=RGB,width=16,height=180");
  GstCaps *caps = gst_pad_get_current_caps(h->sinkpad);
  fail_if(gst_structure_has_field(gst_caps_get_structure(caps, 0), "colorimetry"));
  gst_caps_unref(caps);
  gst_harness_teardown(h);
}

namespace {

/// Expects a ramp in every component that is not chroma to come out within one code of its bicubic
/// enlargement, over the whole range of codes or the `nominal` one.
void expect_ramp(const std::string &format, bool nominal) {
  constexpr int kWidth = 96, kHeight = 8;
  engine->bicubic = true;
  const std::string fields = "format=" + format + size_of(kWidth, kHeight);
  const GstVideoInfo info = info_of(fields);
  const int depth = int(GST_VIDEO_INFO_COMP_DEPTH(&info, 0));
  // RGB that has room for all colours of YUV has a third of its 16 bits for those on a screen.
  const double limit = depth == 16 && GST_VIDEO_INFO_IS_YUV(&info) ? 3 : 1;
  const guint largest = (1U << depth) - 1;
  const guint first = nominal ? 16U << (depth - 8) : 0;
  const guint last = nominal ? 235U << (depth - 8) : largest;
  const auto is_luma = [&](guint c) { return c == 0 || GST_VIDEO_INFO_IS_RGB(&info); };
  const auto ramp = [&](int x) {
    return first + guint(double(last - first) * std::clamp(x, 0, kWidth - 1) / (kWidth - 1));
  };
  const Codes out = upscaled(fields, [&](int x, int, guint c) {
    return c == 3 ? largest : is_luma(c) ? ramp(x) : 1U << (depth - 1);
  });
  for (int x = 0; x < kWidth * 4; ++x) {
    const std::array<double, 4> weights = livepeer::bicubic_weights(x % 4);
    double wanted = 0;
    for (int tap = 0; tap < 4; ++tap)
      wanted += weights[size_t(tap)] * ramp(x / 4 + tap - (x % 4 < 2 ? 2 : 1));
    wanted = std::clamp(wanted, 0.0, double(largest));
    for (int y = 0; y < kHeight * 4; ++y)
      for (guint c = 0; c < std::min(3U, out.components); ++c) {
        const double is = out.at(x, y, c), should = is_luma(c) ? wanted : 1U << (depth - 1);
        if (std::abs(is - should) > limit)
          fail_unless(false, "%s: component %u at (%d, %d) is %f, not %f", format.c_str(), c, x, y,
                      is, should);
      }
  }
}

}  // namespace

POINT(E12_a_ramp_keeps_its_depth) {
  for (const char *format : {"I420", "P010_10LE", "I420_10LE", "I422_10LE", "Y444_10LE", "v210",
                             "GBR_10LE", "GRAY16_LE", "ARGB64", "I420_12LE", "P016_LE", "Y210",
                             "RGBA64_BE", "GBRA_12LE", "GRAY10_LE32", "AYUV64"})
    for (const bool nominal : {true, false}) expect_ramp(format, nominal);
}

POINT(E12_what_differs_by_one_code_is_not_reused) {
  for (const char *format : {"I420_10LE", "GRAY16_LE", "ARGB64", "v210"}) {
    const std::string fields = std::string("format=") + format + size_of(32, 32);
    const GstVideoInfo info = info_of(fields);
    GstHarness *h = harness_new(fields);
    guint added = 0;
    const CodeOf code = [&](int x, int y, guint c) {
      return c == 0 && x == 20 && y == 9 ? 500 + added : 500;
    };
    const int before = engine->upscales;
    for (guint i : {0U, 1U, 1U, 2U}) {
      added = i;
      gst_buffer_unref(gst_harness_push_and_pull(h, buffer_of(info, code)));
    }
    fail_unless_equals_int(engine->upscales - before, 3);
    gst_harness_teardown(h);
  }
}

POINT(K1_every_format_is_scaled_and_blurred_plainly) {
  engine->nsfw_score = 0.9;
  for (const std::string &format : all_formats()) {
    const CodeOf code = flat(format_info(format));
    for (const std::string action : {"scale", "blur"})
      for (const int height : {1, 34}) {
        const std::string fields = "format=" + format + size_of(38, height);
        GstHarness *h = harness_new(fields, "safety-check=true safety-action=" + action);
        const GstVideoInfo info = info_of(fields);
        // Two frames, so that what is kept between them shows.
        for (const bool second : {false, true}) {
          const auto wanted = [&](int x, int y, guint c) {
            return code(x, y, c) / (second ? 2 : 1);
          };
          GstBuffer *out = gst_harness_push_and_pull(h, buffer_of(info, wanted));
          const Codes codes(out, output_info(h));
          for (size_t i = 0; i < codes.values.size(); ++i)
            if (distance(codes.values[i], wanted(0, 0, guint(i % codes.components))) > 1)
              fail_unless(false, "%s of %s: %u instead of %u", action.c_str(), fields.c_str(),
                          codes.values[i], wanted(0, 0, guint(i % codes.components)));
          gst_buffer_unref(out);
        }
        gst_harness_teardown(h);
      }
  }
}

namespace {

/// A white disc whose edge is antialiased, 0 .. 1, in a frame of `size` each way.
double cover(int size, int x, int y) {
  int inside = 0;
  for (int sample = 0; sample < 64; ++sample) {
    const double dx = x + (sample % 8 + 0.5) / 8 - size / 2.0;
    const double dy = y + (sample / 8 + 0.5) / 8 - size / 2.0;
    inside += std::hypot(dx, dy) < 0.35 * size;
  }
  return inside / 64.0;
}

/// Expects the disc, black where it hardly shows, to look on white as if it had been enlarged
/// multiplied by alpha.
void expect_disc(const std::string &format) {
  constexpr int kSize = 40;
  constexpr double kHardly = 0.2;
  engine->bicubic = true;
  const std::string fields = "format=" + format + size_of(kSize, kSize);
  const GstVideoInfo info = info_of(fields);
  const bool yuv = GST_VIDEO_INFO_IS_YUV(&info);
  const guint shift = GST_VIDEO_INFO_COMP_DEPTH(&info, 0) - 8;
  const guint largest = (256U << shift) - 1;
  const guint black = yuv ? 16U << shift : 0, white = yuv ? 235U << shift : largest;
  std::vector<double> covers;
  for (int i = 0; i < kSize * kSize; ++i) covers.push_back(cover(kSize, i % kSize, i / kSize));
  const auto shows = [&](int x, int y) {
    return covers[size_t(std::clamp(y, 0, kSize - 1) * kSize + std::clamp(x, 0, kSize - 1))];
  };
  const Codes out = upscaled(fields, [&](int x, int y, guint c) {
    if (c == 3) return guint(std::lround(shows(x, y) * largest));
    if (yuv && c > 0) return 128U << shift;
    return shows(x, y) < kHardly ? black : white;
  });
  double worst = 0;
  for (int y = 0; y < 4 * kSize; ++y)
    for (int x = 0; x < 4 * kSize; ++x) {
      const auto across = livepeer::bicubic_weights(x % 4), down = livepeer::bicubic_weights(y % 4);
      double colour = 0, alpha = 0;  // multiplied by it
      for (int tap = 0; tap < 16; ++tap) {
        const double weight = across[size_t(tap % 4)] * down[size_t(tap / 4)];
        const double shown =
            shows(x / 4 + tap % 4 - (x % 4 < 2 ? 2 : 1), y / 4 + tap / 4 - (y % 4 < 2 ? 2 : 1));
        alpha += weight * shown;
        colour += weight * (shown < kHardly ? 0 : shown);
      }
      const double is = double(out.at(x, y, 3)) / largest;
      const double is_colour = (double(out.at(x, y, 0)) - black) / (white - black);
      // No picture that is multiplied by alpha holds more or less.
      const double wanted = std::clamp(colour, 0.0, 1.0) + 1 - std::clamp(alpha, 0.0, 1.0);
      worst = std::max(worst, std::abs(is * is_colour + 1 - is - wanted));
    }
  fail_unless(worst <= 6 / 255.0, "%s: %f of 255", format.c_str(), 255 * worst);
}

}  // namespace

POINT(E9_a_transparent_edge_is_enlarged_as_it_shows) {
  for (const char *format : {"RGBA", "GBRA", "ARGB64", "GBRA_10LE", "AYUV", "A420", "A444_10LE"})
    expect_disc(format);
}

int main() { return run_suite("formats"); }
