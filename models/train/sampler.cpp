#include "train/sampler.h"

#include <torch/utils.h>

#include "diffusion/compute_device.h"
#include "nn/clip/clip_text_model.h"
#include "nn/embedded/denoiser_ensemble.h"
#include "train/words.h"
#include "weights/weight_source.h"

namespace livepeer::train {
namespace {

/// `Network` with the weights of the snapshot's part `part`.
template <typename Network>
std::shared_ptr<Network> load(const std::string &folder, const std::string &part,
                              const std::string &file, torch::Dtype type) {
  WeightOptions options;
  options.dtype = type;
  WeightSource source({folder + "/" + part + "/" + file}, options);
  auto network = std::make_shared<Network>(Config::read(folder + "/" + part + "/config.json"),
                                           ParameterScope(source));
  source.finish();
  return network;
}

/// [tokens] int64, filled up so that prompts can share a batch.
torch::Tensor token_ids(const std::string &prompt) {
  auto ids = vocabulary().encode(prompt);
  const int64_t end = ids.back();
  ids.resize(77, end);
  return torch::tensor(ids);
}

}  // namespace

Sampler::Sampler(const std::string &folder, Precision precision)
    : schedule_(Config::read(folder + "/scheduler/scheduler_config.json")),
      vae_(std::make_shared<AutoencoderPixelShuffle>(Config::read(folder + "/vae/config.json"))) {
  const auto type = find_dtype(precision, torch::kCPU);
  const auto text_encoder =
      load<CLIPTextModel>(folder, "text_encoder", "model.safetensors", torch::kFloat);
  pipeline_ =
      std::make_unique<StableDiffusionUpscalePipeline>(StableDiffusionUpscalePipeline::Components{
          load<DenoiserEnsemble>(folder, "unet", "diffusion_pytorch_model.safetensors", type), vae_,
          [text_encoder](const std::string &prompt) {
            return text_encoder->forward(token_ids(prompt).unsqueeze(0));
          },
          Config::read(folder + "/scheduler/scheduler_config.json"),
          NoiseSchedule(Config::read(folder + "/low_res_scheduler/scheduler_config.json"))});
}

torch::Tensor Sampler::upscale(const torch::Tensor &low_res, const SamplerSettings &settings,
                               int64_t images) {
  PipelineRequest request;
  request.image = low_res * 2 - 1;
  request.noise = pipeline_->draw_noise(settings.seed, low_res.size(2), low_res.size(3), images);
  request.prompt = settings.prompt;
  request.negative_prompt = settings.negative_prompt;
  request.settings = {settings.steps, settings.guidance_scale, settings.noise_level,
                      settings.noise_temperature};
  Progress progress;
  const auto result = (*pipeline_)(request, progress);
  return (at::pixel_shuffle(result, AutoencoderPixelShuffle::factor) / 2 + 0.5).clamp(0, 1);
}

torch::Tensor Sampler::denoised(const torch::Tensor &high_res, const torch::Tensor &low_res,
                                int64_t timestep, uint64_t seed) {
  const torch::NoGradGuard no_grad;
  const auto picture = low_res * 2 - 1;
  const auto latent = vae_->encode(high_res * 2 - 1, picture) * vae_->scaling_factor();
  const auto noise = torch::randn(latent.sizes(), at::detail::createCPUGenerator(seed));
  const auto time = torch::full({1}, timestep, torch::kLong);
  const auto noised = schedule_.add_noise(latent, noise, time);
  const auto &components = pipeline_->components();
  const auto velocity =
      components.unet->forward(torch::cat({noised, picture}, 1), time.to(torch::kFloat),
                               components.encode_prompt(""), torch::zeros({1}, torch::kLong));
  // v = signal * noise - sigma * x0 and noised = signal * x0 + sigma * noise, solved for x0.
  const auto signal = schedule_.alphas_cumprod[timestep].sqrt();
  const auto sigma = (1 - schedule_.alphas_cumprod[timestep]).sqrt();
  const auto estimate = (signal * noised - sigma * velocity) / vae_->scaling_factor();
  return (vae_->decode(estimate, picture) / 2 + 0.5).clamp(0, 1);
}

}  // namespace livepeer::train
