#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "diffusion/noise_schedule.h"
#include "diffusion/schedulers/schedulers.h"
#include "diffusion/tiles.h"
#include "nn/interfaces.h"
#include "runtime/model.h"

namespace livepeer {

/// The random numbers of one job, on the CPU in float32 so that a seed means the same everywhere.
struct PipelineNoise {
  torch::Tensor low_res;    ///< [1, 3, h, w], drawn first; shared by all images of a job
  torch::Tensor latents;    ///< [images, latent_channels, h, w], drawn second; variance 1
  at::Generator generator;  ///< where schedulers that add noise go on
};

/// One call of the pipeline.
struct PipelineRequest {
  torch::Tensor image;  ///< [1, 3, h, w] float32 in [-1, 1]
  PipelineNoise noise;
  std::string prompt, negative_prompt;
  ResolvedSettings settings;
  SchedulerKind scheduler = SchedulerKind::model;
  TileLayout denoiser_tiles, vae_tiles;
  /// Told intermediate results by name, for comparisons stage by stage: noisy_lowres, unet_in and
  /// unet_out of every step, latents after it, decoded.
  std::function<void(const char *name, const torch::Tensor &value)> observe;
};

/// StableDiffusionUpscalePipeline of diffusers: a picture, noised to a level that the denoiser is
/// told, is enlarged by denoising latents next to it under a prompt. Works with any combination of
/// components; safe to call from several threads.
class StableDiffusionUpscalePipeline {
 public:
  /// What one prompt becomes: hidden [1, tokens, channels], pooled [1, channels].
  using EncodePrompt = std::function<TextEmbeddings(const std::string &prompt)>;
  /// How many tokens a prompt has, and how many of them the text encoder takes.
  struct PromptLength {
    size_t tokens, taken;
  };
  using MeasurePrompt = std::function<PromptLength(const std::string &prompt)>;
  struct Components {
    std::shared_ptr<Denoiser> unet;
    std::shared_ptr<Vae> vae;
    EncodePrompt encode_prompt;
    SchedulerCache scheduler;
    NoiseSchedule low_res_scheduler;
    torch::Device device = torch::kCPU;
    MeasurePrompt measure_prompt = {};  ///< empty: every prompt is taken whole
  };
  explicit StableDiffusionUpscalePipeline(Components components);

  const Components &components() const { return components_; }

  /// Draws in diffusers' order: noise of the picture, then start latents.
  PipelineNoise draw_noise(uint64_t seed, int64_t height, int64_t width, int64_t images = 1) const;
  /// Returns [images, 3, 4h, 4w] float32 on the CPU, not clamped; [images, 48, h, w] where the
  /// decoder ends in a pixel shuffle, which write_pixels() takes as well. Throws Error{settings}
  /// for settings that the schedule does not reach, Error{cancelled} within one step or tile of
  /// progress.cancel().
  torch::Tensor operator()(const PipelineRequest &request, Progress &progress);

 private:
  TextEmbeddings encode(const std::string &prompt);
  TextEmbeddings encode_batch(const PipelineRequest &request, bool guided, int64_t images);

  Components components_;
  std::mutex prompts_mutex_;
  std::list<std::pair<std::string, TextEmbeddings>> prompts_;  ///< the newest first
};

}  // namespace livepeer
