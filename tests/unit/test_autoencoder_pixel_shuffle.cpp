#include <gtest/gtest.h>

#include "nn/embedded/autoencoder_pixel_shuffle.h"

namespace livepeer {
namespace {

AutoencoderPixelShuffle vae(double coefficient = -0.5) {
  return AutoencoderPixelShuffle(
      Config({{"scaling_factor", 8.0}, {"bicubic_coefficient", coefficient}}, "config.json"));
}

torch::Tensor enlarged(const torch::Tensor &low_res, double coefficient = -0.5) {
  return vae(coefficient).decode(torch::zeros({1, 48, low_res.size(2), low_res.size(3)}), low_res);
}

TEST(AutoencoderPixelShuffle, EnlargesLikeTorchWithTorchsCoefficient) {
  const auto low_res = torch::rand({1, 3, 7, 11}) * 2 - 1;
  const auto expected = at::upsample_bicubic2d(low_res, {28, 44}, /*align_corners=*/false);
  EXPECT_LT((enlarged(low_res, -0.75) - expected).abs().max().item<double>(), 1e-5);
}

TEST(AutoencoderPixelShuffle, KeysCoefficientReproducesParabolas) {
  // The centre of output pixel i lies at (i + 0.5) / 4 - 0.5 of the input.
  const auto x = torch::arange(12, torch::kFloat) / 10;
  const auto low_res = x.square().view({1, 1, 1, 12}).expand({1, 3, 6, 12}).contiguous();
  const auto fine = ((torch::arange(48, torch::kFloat) + 0.5) / 4 - 0.5) / 10;
  const auto error = (enlarged(low_res)[0][1][12] - fine.square()).abs();
  EXPECT_LT(error.narrow(0, 8, 32).max().item<double>(), 1e-6);
  EXPECT_GT(error.max().item<double>(), 1e-3) << "edges are repeated, not extrapolated";
}

TEST(AutoencoderPixelShuffle, EdgesAreRepeated) {
  const auto low_res = torch::full({1, 3, 1, 1}, 0.25F);
  EXPECT_LT((enlarged(low_res) - 0.25).abs().max().item<double>(), 1e-6);
}

TEST(AutoencoderPixelShuffle, DecodeInvertsEncode) {
  auto autoencoder = vae();
  const auto low_res = torch::rand({2, 3, 5, 6}), high_res = torch::rand({2, 3, 20, 24});
  const auto back = autoencoder.decode(autoencoder.encode(high_res, low_res), low_res);
  EXPECT_LT((back - high_res).abs().max().item<double>(), 1e-6);
}

TEST(AutoencoderPixelShuffle, TilesAreExact) {
  auto autoencoder = vae();
  const int64_t halo = *autoencoder.receptive_radius();
  const auto low_res = torch::rand({1, 3, 50, 61}), latents = torch::randn({1, 48, 50, 61});
  const auto whole = autoencoder.decode(latents, low_res);
  const auto part = [&](const torch::Tensor &t) {
    return t.narrow(2, 9 - halo, 32 + 2 * halo).narrow(3, 13 - halo, 32 + 2 * halo);
  };
  const auto tile = autoencoder.decode(part(latents), part(low_res));
  EXPECT_TRUE(torch::equal(tile.narrow(2, 4 * halo, 128).narrow(3, 4 * halo, 128),
                           whole.narrow(2, 36, 128).narrow(3, 52, 128)));
}

TEST(AutoencoderPixelShuffle, NeedsItsScalingFactor) {
  EXPECT_THROW(AutoencoderPixelShuffle(Config(nlohmann::json::object(), "config.json")), Error);
}

}  // namespace
}  // namespace livepeer
