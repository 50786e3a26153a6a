#include "gstlivepeeralpha.h"

#include <algorithm>
#include <array>
#include <cmath>

using livepeer::Frame;

namespace {

constexpr int kReach = 2;           // pixels: how far what shows more counts
constexpr float kZero = 32768;      // the number that stands for 0 in what is taken
constexpr float kTakenOne = 32767;  // as many numbers further 1
constexpr livepeer::Samples kTaken{2, -1, 1};

/// The largest of the `kReach` numbers before and after each, at `step` from each other.
void spread_largest(std::vector<float> &values, size_t begin, size_t step, int count) {
  std::vector<float> line(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) line[size_t(i)] = values[begin + size_t(i) * step];
  for (int i = 0; i < count; ++i) {
    const auto first = line.begin() + std::max(0, i - kReach);
    const auto last = line.begin() + std::min(count, i + kReach + 1);
    values[begin + size_t(i) * step] = *std::max_element(first, last);
  }
}

/// How much of each pixel shows beside its neighbours, 0 .. 1.
std::vector<float> shares_of(const std::vector<float> &opacity, int width, int height) {
  std::vector<float> most = opacity;
  for (int y = 0; y < height; ++y) spread_largest(most, size_t(y) * size_t(width), 1, width);
  for (int x = 0; x < width; ++x) spread_largest(most, size_t(x), size_t(width), height);
  for (size_t i = 0; i < most.size(); ++i) {
    const float part = most[i] > 0 ? opacity[i] / most[i] : 0;
    most[i] = part * part;  // an edge that is half covered is that of what covers it
  }
  return most;
}

/// Colours times the share that counts of them, and the share.
struct Layer {
  using Pixel = std::array<float, 4>;
  Layer(int w, int h) : width(w), height(h), pixels(size_t(w) * size_t(h)) {}
  Pixel &at(int x, int y) { return pixels[size_t(y) * size_t(width) + size_t(x)]; }
  int width, height;
  std::vector<Pixel> pixels;
};

/// Fills each pixel up to a share of 1 with the mean colour around it, from ever further away.
void fill(Layer &layer) {
  if (layer.pixels.size() == 1) {
    Layer::Pixel &all = layer.pixels[0];
    for (size_t c = 0; c < 3 && all[3] > 0; ++c) all[c] /= all[3];
    return;
  }
  Layer coarse((layer.width + 1) / 2, (layer.height + 1) / 2);
  for (int y = 0; y < layer.height; ++y)
    for (int x = 0; x < layer.width; ++x)
      for (size_t c = 0; c < 4; ++c) coarse.at(x / 2, y / 2)[c] += layer.at(x, y)[c];
  for (Layer::Pixel &pixel : coarse.pixels) {
    const float share = pixel[3];
    for (size_t c = 0; c < 4 && share > 1; ++c) pixel[c] /= share;
  }
  fill(coarse);
  for (int y = 0; y < layer.height; ++y)
    for (int x = 0; x < layer.width; ++x) {
      Layer::Pixel &pixel = layer.at(x, y);
      for (size_t c = 0; c < 3; ++c) pixel[c] += (1 - pixel[3]) * coarse.at(x / 2, y / 2)[c];
    }
}

template <typename T>
Frame hide(Frame &pixels, const T *alpha) {
  const size_t count = size_t(pixels.width) * size_t(pixels.height);
  const auto [least, most] = std::minmax_element(alpha, alpha + count);
  Frame taken;
  if (*least == *most) return taken;  // all of the picture shows as much, or nothing
  std::vector<float> opacity(count);
  for (size_t i = 0; i < count; ++i) opacity[i] = float(alpha[i]) / float(T(-1));
  const std::vector<float> shares = shares_of(opacity, pixels.width, pixels.height);
  T *numbers = pixels.row<T>(0);
  Layer layer(pixels.width, pixels.height);
  for (size_t i = 0; i < count; ++i) {
    for (size_t c = 0; c < 3; ++c) layer.pixels[i][c] = shares[i] * float(numbers[3 * i + c]);
    layer.pixels[i][3] = shares[i];
  }
  fill(layer);
  taken = Frame::unset(pixels.width, pixels.height, kTaken);
  auto *away = taken.row<guint16>(0);
  bool any = false;
  for (size_t i = 0; i < 3 * count; ++i) {
    const auto number = T(layer.pixels[i / 3][i % 3] + 0.5F);
    const float difference = (float(numbers[i]) - float(number)) * opacity[i / 3];
    any = any || std::abs(difference) >= 0.5F;
    away[i] = guint16(kZero + difference * (kTakenOne / float(T(-1))) + 0.5F);
    numbers[i] = number;
  }
  return any ? taken : Frame();
}

template <typename T>
void put_back(Frame &pixels, const Frame &taken, const T *alpha) {
  const size_t count = size_t(pixels.width) * size_t(pixels.height);
  constexpr auto largest = float(T(-1));
  T *numbers = pixels.row<T>(0);
  const auto *away = taken.row<guint16>(0);
  for (size_t i = 0; i < 3 * count; ++i) {
    if (alpha[i / 3] == 0) continue;
    const float difference = (float(away[i]) - kZero) / kTakenOne * largest;
    const float number = float(numbers[i]) + difference * largest / float(alpha[i / 3]);
    numbers[i] = T(std::clamp(number, 0.0F, largest) + 0.5F);
  }
}

}  // namespace

Frame gst_livepeer_hide_transparent(Frame &pixels, const livepeer::Bytes &alpha) {
  if (pixels.samples.bytes == 1) return hide(pixels, alpha.data());
  return hide(pixels, reinterpret_cast<const guint16 *>(alpha.data()));
}

void gst_livepeer_put_back(Frame &pixels, const Frame &taken, const livepeer::Bytes &alpha) {
  if (pixels.samples.bytes == 1)
    put_back(pixels, taken, alpha.data());
  else
    put_back(pixels, taken, reinterpret_cast<const guint16 *>(alpha.data()));
}
