#include "gstlivepeercolours.h"

#include <algorithm>

namespace {

constexpr AffineMap kIdentity = {{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}};

/// Codes of 0 .. 1 as fractions of the nominal range: luma 0 .. 1, chroma -0.5 .. 0.5.
struct Range {
  double gain, offset;
};

std::array<Range, 3> ranges_of(const GstVideoInfo &info) {
  gint offset[GST_VIDEO_MAX_COMPONENTS], scale[GST_VIDEO_MAX_COMPONENTS];
  gst_video_color_range_offsets(info.colorimetry.range, info.finfo, offset, scale);
  std::array<Range, 3> ranges{};
  for (guint i = 0; i < std::min(3U, GST_VIDEO_FORMAT_INFO_N_COMPONENTS(info.finfo)); ++i) {
    const double largest = double((1 << GST_VIDEO_FORMAT_INFO_DEPTH(info.finfo, i)) - 1);
    ranges[i] = {largest / scale[i], -double(offset[i]) / scale[i]};
  }
  return ranges;
}

/// From and to luma and chroma in their nominal ranges.
void set_matrix(const GstVideoInfo &info, Colours &colours) {
  gdouble kr, kb;
  if (!gst_video_color_matrix_get_Kr_Kb(info.colorimetry.matrix, &kr, &kb))
    gst_video_color_matrix_get_Kr_Kb(GST_VIDEO_COLOR_MATRIX_BT601, &kr, &kb);
  const double kg = 1 - kr - kb, u = 2 * (1 - kb), v = 2 * (1 - kr);
  colours.to_rgb = {{{1, 0, v, 0}, {1, -u * kb / kg, -v * kr / kg, 0}, {1, u, 0, 0}}};
  colours.from_rgb = {
      {{kr, kg, kb, 0}, {-kr / u, -kg / u, (1 - kb) / u, 0}, {(1 - kr) / v, -kg / v, -kb / v, 0}}};
}

}  // namespace

bool gst_livepeer_is_hdr(const GstVideoInfo &info) {
  return info.colorimetry.transfer == GST_VIDEO_TRANSFER_SMPTE2084 ||
         info.colorimetry.transfer == GST_VIDEO_TRANSFER_ARIB_STD_B67;
}

Colours gst_livepeer_colours_of(const GstVideoInfo &info) {
  Colours colours{kIdentity, kIdentity};
  const bool rgb = GST_VIDEO_INFO_IS_RGB(&info), grey = GST_VIDEO_INFO_IS_GRAY(&info);
  if (rgb && !gst_livepeer_is_hdr(info)) return colours;
  if (!rgb) set_matrix(info, colours);
  if (grey) {
    for (auto &row : colours.to_rgb) row = {1, 0, 0, 0};
    colours.from_rgb[1] = colours.from_rgb[2] = {};
  }

  const std::array<Range, 3> ranges = ranges_of(info);
  for (size_t i = 0; i < (grey ? 1 : 3); ++i) {
    for (auto &row : colours.to_rgb) {
      row[3] += row[i] * ranges[i].offset;
      row[i] *= ranges[i].gain;
    }
    for (double &factor : colours.from_rgb[i]) factor /= ranges[i].gain;
    colours.from_rgb[i][3] = -ranges[i].offset / ranges[i].gain;
  }
  colours.lowest = colours.highest = colours.to_rgb[0][3];
  for (const auto &row : colours.to_rgb) {
    double least = row[3], most = row[3];
    for (size_t i = 0; i < 3; ++i) (row[i] < 0 ? least : most) += row[i];
    colours.lowest = std::min(colours.lowest, least);
    colours.highest = std::max(colours.highest, most);
  }
  return colours;
}
