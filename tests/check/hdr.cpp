// High dynamic range: sections D, E and K.
#include <algorithm>
#include <cmath>

#include "codes.h"

namespace {

const char *const kPq = "bt2100-pq";
const char *const kHlg = "bt2100-hlg";

/// A 10-bit code of the usual range for light in cd/m2; of HLG on a screen of 1,000.
guint code_of(const std::string &colorimetry, double nits) {
  const double value =
      colorimetry == kPq
          ? gst_video_transfer_function_encode(GST_VIDEO_TRANSFER_SMPTE2084, nits / 10000)
          : gst_video_transfer_function_encode(GST_VIDEO_TRANSFER_ARIB_STD_B67,
                                               std::pow(nits / 1000, 1 / 1.2));
  return guint(std::lround(64 + 876 * value));
}

double nits_of(const std::string &colorimetry, guint code) {
  const double value = std::max(0.0, (double(code) - 64) / 876);
  if (colorimetry == kPq)
    return 10000 * gst_video_transfer_function_decode(GST_VIDEO_TRANSFER_SMPTE2084, value);
  return 1000 *
         std::pow(gst_video_transfer_function_decode(GST_VIDEO_TRANSFER_ARIB_STD_B67, value), 1.2);
}

/// Adds and takes away a fifth of the numbers' range from pixel to pixel, far more than any model.
void ring(const livepeer::FramePart &frame) {
  const int most = frame.samples.largest(), swing = most / 5;
  for (int y = 0; y < frame.height; ++y) {
    auto *row = frame.row<guint16>(y);
    for (int i = 0; i < frame.width * 3; ++i)
      row[i] = guint16(std::clamp(row[i] + ((i / 3 + y) % 2 ? swing : -swing), 0, most));
  }
}

void expect_disc(const std::string &colorimetry, double nits) {
  constexpr int kSize = 64, kRadius = 20, kNear = 16;
  const guint bright = code_of(colorimetry, nits);
  const auto from_edge = [&](int x, int y, int scale) {
    return std::hypot(x + 0.5 - kSize * scale / 2, y + 0.5 - kSize * scale / 2) - kRadius * scale;
  };
  const Codes out = upscaled("format=P010_10LE,colorimetry=" + colorimetry + size_of(kSize, kSize),
                             [&](int x, int y, guint c) {
                               return c > 0 ? 512 : from_edge(x, y, 1) < 0 ? bright : 64;
                             });
  for (int y = 0; y < 4 * kSize; ++y)
    for (int x = 0; x < 4 * kSize; ++x) {
      const double edge = from_edge(x, y, 4), is = nits_of(colorimetry, out.at(x, y, 0));
      fail_if(out.at(x, y, 0) < 64, "blacker than black");
      if (edge < -kNear)
        fail_unless(std::abs(is / nits - 1) < 0.02, "%f on a disc of %f", is, nits);
      else if (edge < kNear)
        fail_unless(is < 1.1 * nits, "%f beside a disc of %f", is, nits);
    }
}

}  // namespace

POINT(D6_high_dynamic_range_stays_what_it_is) {
  const char *const mastering = "34000:16000:13250:34500:7500:3000:15635:16450:10000000:1";
  for (const char *colorimetry : {kPq, kHlg}) {
    GstHarness *h = harness_new(std::string("format=P010_10LE,width=16,height=16,colorimetry=") +
                                colorimetry + ",mastering-display-info=(string)" + mastering +
                                ",content-light-level=(string)1000:400");
    GstCaps *caps = gst_pad_get_current_caps(h->sinkpad);
    const GstStructure *out = gst_caps_get_structure(caps, 0);
    fail_unless_equals_string(gst_structure_get_string(out, "colorimetry"), colorimetry);
    fail_unless_equals_string(gst_structure_get_string(out, "mastering-display-info"), mastering);
    fail_unless_equals_string(gst_structure_get_string(out, "content-light-level"), "1000:400");
    gst_caps_unref(caps);
    gst_harness_teardown(h);
  }
}

POINT(E13_every_code_of_high_dynamic_range_comes_back) {
  for (const char *colorimetry : {kPq, kHlg})
    for (const char *format : {"Y444_10LE", "I420_10LE", "P010_10LE", "v210", "GBR_10LE",
                               "Y444_12LE", "GBRA_12LE", "GRAY10_LE32", "RGB"}) {
      const std::string fields = std::string("format=") + format + ",colorimetry=" + colorimetry;
      const GstVideoInfo info = info_of(fields + size_of(2, 2));
      const guint depth = GST_VIDEO_INFO_COMP_DEPTH(&info, 0);
      const int width = 1 << depth;
      const bool yuv = GST_VIDEO_INFO_IS_YUV(&info);
      const auto code = [&](int x, int, guint c) {
        return c == 3 ? guint(width - 1) : yuv && c > 0 ? guint(width / 2) : guint(x);
      };
      const Codes out = upscaled(fields + size_of(width, 2), code);
      for (int x = 0; x < 4 * width; ++x)
        for (guint c = 0; c < out.components; ++c) {
          const guint is = out.at(x, 0, c), wanted = code(x / 4, 0, c);
          if (std::abs(int(is) - int(wanted)) > 1)
            fail_unless(false, "%s: component %u is %u, not %u", fields.c_str(), c, is, wanted);
        }
    }
}

POINT(E13_a_bright_disc_keeps_its_light) {
  engine->bicubic = true;
  for (const bool rings : {false, true}) {
    if (rings) engine->on_result = ring;
    expect_disc(kPq, 1000);
    expect_disc(kPq, 4000);
    expect_disc(kPq, 100);
    expect_disc(kHlg, 1000);
    expect_disc(kHlg, 200);
  }
}

POINT(K2_the_checker_sees_what_a_screen_shows) {
  for (const char *colorimetry : {kPq, kHlg}) {
    for (const auto &[nits, least, most] :
         {std::tuple(0.0, 0, 0), {10.0, 30, 80}, {203.0, 160, 200}, {1000.0, 240, 255}}) {
      int seen = -1;
      engine->score_of = [&](const livepeer::Frame &picture) {
        fail_unless_equals_int(picture.samples.bytes, 1);
        seen = picture.row(9)[27];
        return 0.0;
      };
      const std::string fields =
          std::string("format=I420_10LE,width=16,height=16,colorimetry=") + colorimetry;
      const guint luma = code_of(colorimetry, nits);
      GstHarness *h = harness_new(fields, "safety-check=true");
      gst_buffer_unref(gst_harness_push_and_pull(
          h, buffer_of(info_of(fields), [&](int, int, guint c) { return c > 0 ? 512 : luma; })));
      fail_unless(seen >= least && seen <= most, "%s: %f is seen as %d", colorimetry, nits, seen);
      gst_harness_teardown(h);
    }
  }
}

int main() { return run_suite("hdr"); }
