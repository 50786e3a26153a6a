#pragma once

#include <stb_image.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>

#include "runtime/frame.h"

namespace livepeer::test {

/// A PNG or JPEG as 8-bit RGB.
inline Frame read_picture(const std::string &path) {
  int width = 0, height = 0;
  const std::unique_ptr<stbi_uc, void (*)(void *)> pixels(
      stbi_load(path.c_str(), &width, &height, nullptr, 3), stbi_image_free);
  if (!pixels) throw std::runtime_error("cannot read the picture " + path);
  Frame frame(width, height);
  std::memcpy(frame.pixels.data(), pixels.get(), frame.pixels.size());
  return frame;
}

/// The part of `frame` inside `area`, which must lie inside it.
inline Frame crop(const Frame &frame, const Rect &area) {
  Frame part(area.width, area.height);
  for (int y = 0; y < area.height; ++y)
    std::memcpy(part.row(y), frame.row(area.y + y) + area.x * 3, size_t(area.width) * 3);
  return part;
}

/// Smooth waves of all colours.
inline Frame picture(int width, int height) {
  Frame frame(width, height);
  for (int y = 0; y < height; y++)
    for (int i = 0; i < 3 * width; i++)
      frame.row(y)[i] = uint8_t(128 + 100 * std::sin(0.3 * i) * std::cos(0.2 * y + i % 3));
  return frame;
}

}  // namespace livepeer::test
