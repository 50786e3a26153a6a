#pragma once

#include <functional>
#include <string>
#include <vector>

#include "support.h"

/// Of component c of pixel (x, y), alpha last; codes are as wide as the component is deep.
using CodeOf = std::function<guint(int x, int y, guint c)>;

/// A frame of any format with these codes.
GstBuffer *buffer_of(const GstVideoInfo &info, const CodeOf &code);

/// The codes of a buffer of `info`, chroma repeated.
struct Codes {
  Codes(GstBuffer *buffer, const GstVideoInfo &info);
  guint at(int x, int y, guint c) const {
    return values[(size_t(y) * size_t(width) + size_t(x)) * components + c];
  }
  int width;
  guint components;  // of a pixel
  std::vector<guint> values;
};

/// As further fields of caps.
std::string size_of(int width, int height);
/// What the element gives.
GstVideoInfo output_info(GstHarness *h);
/// What comes out for a frame of `fields` with these codes.
Codes upscaled(const std::string &fields, const CodeOf &code);
