#pragma once

#include <memory>
#include <string>

#include "diffusion/upscale_pipeline.h"
#include "nn/embedded/autoencoder_pixel_shuffle.h"
#include "runtime/upscale_settings.h"

namespace livepeer::train {

/// What one picture is upscaled with; the defaults are the most neutral ones.
struct SamplerSettings {
  unsigned steps = 1;
  double noise_temperature = 1;
  int noise_level = 0;
  std::string prompt, negative_prompt;
  double guidance_scale = 1;
  uint64_t seed = 0;
};

/// An exported snapshot in the plugin's own pipeline, for pictures that are tensors.
class Sampler {
 public:
  /// `automatic`: the type that the snapshot runs in on this CPU.
  explicit Sampler(const std::string &folder, Precision precision = Precision::automatic);

  /// `low_res` [1, 3, h, w] in [0, 1]; returns [images, 3, 4h, 4w] in [0, 1], not rounded, of
  /// `images` draws of the noise.
  torch::Tensor upscale(const torch::Tensor &low_res, const SamplerSettings &settings,
                        int64_t images = 1);
  /// What the network takes `high_res` [1, 3, 4h, 4w] in [0, 1] for when it sees `low_res` and the
  /// picture's latent noised to `timestep`; in [0, 1], not rounded.
  torch::Tensor denoised(const torch::Tensor &high_res, const torch::Tensor &low_res,
                         int64_t timestep, uint64_t seed);

 private:
  NoiseSchedule schedule_;
  std::shared_ptr<AutoencoderPixelShuffle> vae_;
  std::unique_ptr<StableDiffusionUpscalePipeline> pipeline_;
};

}  // namespace livepeer::train
