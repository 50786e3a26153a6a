// Between the bytes of frames and tensors.
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <limits>

#include "diffusion/frame_tensor.h"
#include "diffusion/tiles.h"
#include "support/picture.h"

namespace livepeer {
namespace {

using test::picture;

TEST(FrameTensor, PartsAreWrittenFromTilesAsTheyLie) {
  const Frame whole = picture(24, 16);
  const torch::Tensor image = to_tensor(whole)[0];
  Frame copy(24, 16);
  for (const Rect &rect : {Rect{0, 0, 9, 16}, Rect{9, 0, 15, 5}, Rect{9, 5, 15, 11}}) {
    // Rows of a tile in the layout of the networks' results, and those of a part of a frame.
    const torch::Tensor tile =
        crop(image.unsqueeze(0).contiguous(at::MemoryFormat::ChannelsLast), rect)[0];
    EXPECT_TRUE(write_pixels(tile, FramePart(copy, rect), 0, 0));
  }
  EXPECT_EQ(copy.pixels, whole.pixels);
  EXPECT_FALSE(write_pixels(image / 0, copy, 0, 0));
}

TEST(FrameTensor, BytesSurviveTheRoundTrip) {
  Frame frame(256, 3);
  for (int y = 0; y < 3; y++)
    for (int x = 0; x < 256; x++)
      for (int c = 0; c < 3; c++) frame.row(y)[3 * x + c] = uint8_t(x + 50 * c + y);
  Frame back(256, 3);
  write_pixels(to_tensor(frame)[0], back, 0, 0);
  EXPECT_EQ(frame.pixels, back.pixels);
  const torch::Tensor unshuffled = at::pixel_unshuffle(to_tensor(picture(24, 16)), 4)[0];
  Frame shuffled(24, 16);
  write_pixels(unshuffled, shuffled, 0, 0);
  EXPECT_EQ(shuffled.pixels, picture(24, 16).pixels);
  const torch::Tensor strided = to_tensor(frame)[0].transpose(1, 2).contiguous().transpose(1, 2);
  write_pixels(strided, back, 0, 0);
  EXPECT_EQ(frame.pixels, back.pixels);
}

TEST(FrameTensor, SixteenBitsSurviveTheRoundTrip) {
  for (const Samples &samples : {Samples{2, 0, 1}, Samples{2, -1.2F, 2.2F}}) {
    Frame frame(65536, 1, samples);
    for (int x = 0; x < 65536; x++)
      for (int c = 0; c < 3; c++) frame.row<uint16_t>(0)[3 * x + c] = uint16_t(x + 50 * c);
    const torch::Tensor tensor = to_tensor(frame);
    EXPECT_FLOAT_EQ(tensor.min().item<float>(), 2 * samples.lowest - 1);
    EXPECT_FLOAT_EQ(tensor.max().item<float>(), 2 * samples.highest - 1);
    Frame back(65536, 1, samples);
    write_pixels(tensor[0], back, 0, 0);
    EXPECT_EQ(frame.pixels, back.pixels);
  }
}

TEST(FrameTensor, WhatIsBeyondTheRangeIsBlackOrWhite) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  Frame frame(2, 1);
  write_pixels(
      torch::tensor({1e9F, infinity, -1e9F, -infinity, std::nanf(""), 1.5F}).view({3, 1, 2}), frame,
      0, 0);
  EXPECT_EQ(frame.pixels, (Bytes{255, 0, 0, 255, 0, 255}));
  Frame deep(2, 1, {2, -0.5F, 1.5F});
  write_pixels(torch::tensor({1e9F, -1.F, -1e9F, -infinity, std::nanf(""), 1.F}).view({3, 1, 2}),
               deep, 0, 0);
  const auto *numbers = deep.row<uint16_t>(0);
  EXPECT_EQ(std::vector<uint16_t>(numbers, numbers + 6),
            (std::vector<uint16_t>{65535, 0, 0, 16384, 0, 49151}));
}

}  // namespace
}  // namespace livepeer
