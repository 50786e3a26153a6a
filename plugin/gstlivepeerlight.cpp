#include "gstlivepeerlight.h"

#include <algorithm>
#include <cmath>

using livepeer::Frame;

namespace {

constexpr size_t kNumbers = 65536;
constexpr double kOne = 10;          // of HLG's curve, of them in the 10,000 cd/m2 of PQ
constexpr int kBeyond = 8;           // what part of the contrast around, at least that of a cubic
constexpr double kOvershoot = 0.06;  // of the contrast around

/// Scene light on HLG's curve; it goes on beyond 1, and mirrored below 0.
double hlg(double light) {
  return std::copysign(
      gst_video_transfer_function_encode(GST_VIDEO_TRANSFER_ARIB_STD_B67, std::abs(light)), light);
}

double hlg_light(double value) {
  return std::copysign(
      gst_video_transfer_function_decode(GST_VIDEO_TRANSFER_ARIB_STD_B67, std::abs(value)), value);
}

/// Codes beyond the ends of PQ stand for no light; they are kept as far beyond.
double from_pq(double value) {
  if (value < 0) return value;
  if (value > 1) return hlg(kOne) + value - 1;
  return hlg(kOne * gst_video_transfer_function_decode(GST_VIDEO_TRANSFER_SMPTE2084, value));
}

double to_pq(double value) {
  const double top = hlg(kOne);
  if (value < 0) return value;
  if (value > top) return 1 + value - top;
  return gst_video_transfer_function_encode(GST_VIDEO_TRANSFER_SMPTE2084, hlg_light(value) / kOne);
}

/// The least or the largest of each number of a row and its eight neighbours.
template <typename Choose>
void around(const Frame &frame, int y, Choose choose, std::vector<guint16> &result) {
  const auto *row = frame.row<guint16>(y);
  const auto *above = frame.row<guint16>(std::max(0, y - 1));
  const auto *below = frame.row<guint16>(std::min(frame.height - 1, y + 1));
  const size_t count = size_t(frame.width) * 3;
  std::vector<guint16> column(count);
  result.resize(count);
  for (size_t i = 0; i < count; ++i) column[i] = choose(row[i], choose(above[i], below[i]));
  for (size_t i = 0; i < count; ++i)
    result[i] =
        choose(column[i], choose(column[i < 3 ? i : i - 3], column[i + 3 < count ? i + 3 : i]));
}

}  // namespace

LightScale::LightScale(const GstVideoInfo &info)
    : hdr_(gst_livepeer_is_hdr(info)), samples_(gst_livepeer_colours_of(info).samples()) {
  if (info.colorimetry.transfer == GST_VIDEO_TRANSFER_SMPTE2084) {
    const livepeer::Samples video = samples_;
    samples_.highest = float(from_pq(video.highest));
    for (size_t i = 0; i < kNumbers; ++i) {
      const double value = video.lowest + double(video.step()) * double(i);
      to_engine_.push_back(number_of(from_pq(value)));
    }
    for (size_t i = 0; i < kNumbers; ++i) {
      const double value = to_pq(samples_.lowest + double(samples_.step()) * double(i));
      to_video_.push_back(float((value - video.lowest) / double(video.step())));
    }
  }
  for (size_t i = 0; hdr_ && i < kNumbers; ++i)
    light_.push_back(float(hlg_light(samples_.lowest + double(samples_.step()) * double(i))));
}

guint16 LightScale::number_of(double value) const {
  const double number = (value - samples_.lowest) / double(samples_.step());
  return guint16(std::lround(std::clamp(number, 0.0, double(samples_.largest()))));
}

void LightScale::to_engine(guint16 *rgb, size_t count) const {
  if (to_engine_.empty()) return;
  for (size_t i = 0; i < count; ++i) rgb[i] = to_engine_[rgb[i]];
}

bool LightScale::bounds(const Frame &low_res, int y, Bounds &bounds) const {
  if (!hdr_ && samples_.lowest >= 0 && samples_.highest <= 1) return false;
  const auto smaller = [](guint16 a, guint16 b) { return std::min(a, b); };
  const auto larger = [](guint16 a, guint16 b) { return std::max(a, b); };
  around(low_res, y, smaller, bounds.least);
  around(low_res, y, larger, bounds.most);
  const guint16 black = number_of(0), white = number_of(1);
  for (size_t i = 0; i < bounds.least.size(); ++i) {
    guint16 &least = bounds.least[i], &most = bounds.most[i];
    if (!hdr_) {
      const int room = (most - least) / kBeyond;
      least = guint16(std::min(std::max(least - room, 0), int(black)));
      most = guint16(std::max(std::min(most + room, samples_.largest()), int(white)));
    } else if (least != most) {
      const double room = kOvershoot * double(light_[most] - light_[least]);
      const guint16 dark = std::min(least, black);
      most = number_of(hlg(double(light_[most]) + room));
      least = std::max(dark, number_of(hlg(double(light_[least]) - room)));
    }
  }
  return true;
}
