#include "diffusion/upscale_pipeline.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/utils.h>

#include "diffusion/schedulers/scheduler_base.h"
#include "diffusion/step_cache.h"

namespace livepeer {
namespace {

constexpr size_t cached_prompts = 16;

/// `tensor` [1, ...] as [count, ...] without a copy; undefined stays undefined.
torch::Tensor repeated(const torch::Tensor &tensor, int64_t count) {
  if (!tensor.defined()) return tensor;
  std::vector<int64_t> sizes = tensor.sizes().vec();
  sizes[0] = count;
  return tensor.expand(sizes);
}

torch::Tensor joined(const torch::Tensor &a, const torch::Tensor &b) {
  return a.defined() ? torch::cat({a, b}) : a;
}

/// The last `count` samples; undefined stays undefined.
torch::Tensor last(const torch::Tensor &tensor, int64_t count) {
  return tensor.defined() ? tensor.narrow(0, tensor.size(0) - count, count) : tensor;
}

/// The first guided step of `steps` and the one behind the last, rounded as diffusers' guiders do;
/// none where guidance would change nothing.
std::pair<size_t, size_t> guided_steps(const PipelineRequest &request, size_t steps) {
  const ResolvedSettings &settings = request.settings;
  // Equal prompts cancel out: u + g (c - u) with c = u.
  if (!(settings.guidance_scale > 1) || request.prompt == request.negative_prompt) return {0, 0};
  return {size_t(settings.guidance_start * double(steps)),
          size_t(settings.guidance_stop * double(steps))};
}

}  // namespace

StableDiffusionUpscalePipeline::StableDiffusionUpscalePipeline(Components components)
    : components_(std::move(components)) {}

PipelineNoise StableDiffusionUpscalePipeline::draw_noise(uint64_t seed, int64_t height,
                                                         int64_t width, int64_t images) const {
  PipelineNoise noise;
  noise.generator = at::detail::createCPUGenerator(seed);
  noise.low_res = draw_normal({1, 3, height, width}, noise.generator);
  noise.latents =
      draw_normal({images, components_.vae->latent_channels(), height, width}, noise.generator);
  return noise;
}

TextEmbeddings StableDiffusionUpscalePipeline::encode(const std::string &prompt) {
  {
    const std::lock_guard<std::mutex> lock(prompts_mutex_);
    for (auto entry = prompts_.begin(); entry != prompts_.end(); ++entry) {
      if (entry->first != prompt) continue;
      prompts_.splice(prompts_.begin(), prompts_, entry);
      return prompts_.front().second;
    }
  }
  // Not under the lock: another session's known prompt need not wait for this one.
  const TextEmbeddings embeddings = components_.encode_prompt(prompt);
  const std::lock_guard<std::mutex> lock(prompts_mutex_);
  prompts_.emplace_front(prompt, embeddings);
  if (prompts_.size() > cached_prompts) prompts_.pop_back();
  return embeddings;
}

TextEmbeddings StableDiffusionUpscalePipeline::encode_batch(const PipelineRequest &request,
                                                            bool guided, int64_t images) {
  const TextEmbeddings prompt = encode(request.prompt);
  TextEmbeddings batch{repeated(prompt.hidden, images), repeated(prompt.pooled, images)};
  if (!guided) return batch;
  const TextEmbeddings negative = encode(request.negative_prompt);
  return {joined(repeated(negative.hidden, images), batch.hidden),
          joined(repeated(negative.pooled, images), batch.pooled)};
}

torch::Tensor StableDiffusionUpscalePipeline::operator()(const PipelineRequest &request,
                                                         Progress &progress) {
  const torch::NoGradGuard no_grad;
  const torch::Device device = components_.device;
  const ResolvedSettings &settings = request.settings;
  const auto observe = [&](const char *name, const torch::Tensor &value) {
    if (request.observe) request.observe(name, value);
  };
  if (settings.noise_level < 0 || settings.noise_level >= components_.low_res_scheduler.size())
    throw Error(ErrorKind::settings, "The model knows noise levels from 0 to " +
                                         std::to_string(components_.low_res_scheduler.size() - 1) +
                                         "; set noise-level to one of them, not " +
                                         std::to_string(settings.noise_level) + ".");

  const auto scheduler =
      components_.scheduler.get(request.scheduler, settings.steps, settings.eta)->clone();
  const std::vector<double> &timesteps = scheduler->timesteps();

  progress.advance(0, "prompt");
  const int64_t images = request.noise.latents.size(0);
  const auto [first_guided, behind_guided] = guided_steps(request, timesteps.size());
  const bool guides = first_guided < behind_guided;
  const TextEmbeddings text = encode_batch(request, guides, images);
  const TextEmbeddings unguided_text =
      guides ? TextEmbeddings{last(text.hidden, images), last(text.pooled, images)} : text;

  const torch::Tensor picture = components_.low_res_scheduler
                                    .add_noise(request.image, request.noise.low_res,
                                               torch::full({1}, settings.noise_level, torch::kLong))
                                    .contiguous(request.noise.latents.suggest_memory_format())
                                    .to(device);
  observe("noisy_lowres", picture);
  torch::Tensor latents =
      (request.noise.latents * (scheduler->init_noise_sigma() * settings.noise_temperature))
          .to(device);
  const int64_t height = latents.size(2), width = latents.size(3);
  StepCache cache(*components_.unet, settings);

  for (size_t i = 0; i < timesteps.size(); i++) {
    const double fraction = double(i) / double(timesteps.size());
    const std::string what =
        "step " + std::to_string(i + 1) + " of " + std::to_string(timesteps.size());
    const torch::Tensor scaled = scheduler->scale_model_input(latents, i);
    const bool guided = i >= first_guided && i < behind_guided;
    const int64_t batch = guided ? 2 * images : images;
    const torch::Tensor time =
        torch::full({batch}, timesteps[i], torch::dtype(torch::kFloat32).device(device));
    const torch::Tensor level =
        torch::full({batch}, settings.noise_level, torch::dtype(torch::kLong).device(device));
    cache.begin_step(timesteps, i, guided);
    const auto evaluate = [&](const Rect &rect) {
      progress.advance(fraction, what);
      torch::Tensor input =
          torch::cat({crop(scaled, rect), repeated(crop(picture, rect), images)}, 1);
      if (guided) input = input.repeat({2, 1, 1, 1});
      observe("unet_in", input);
      const torch::Tensor output =
          cache.evaluate(rect, input, time, guided ? text : unguided_text, level)
              .to(torch::kFloat32);
      observe("unet_out", output);
      if (!guided) return output;
      const torch::Tensor negative = output.narrow(0, 0, images);
      const torch::Tensor positive = output.narrow(0, images, images);
      return negative + settings.guidance_scale * (positive - negative);
    };
    const torch::Tensor output = apply_tiled(width, height, request.denoiser_tiles, evaluate);
    latents = scheduler->step(output, i, latents, request.noise.generator);
    observe("latents", latents);
  }

  latents = latents / components_.vae->scaling_factor();
  const auto decode = [&](const Rect &rect) {
    progress.advance(1, "decoding");
    const torch::Tensor z = crop(latents, rect);
    const torch::Tensor low_res = repeated(crop(picture, rect), images);
    torch::Tensor image = components_.vae->decode_unshuffled(z, low_res);
    if (!image.defined()) image = components_.vae->decode(z, low_res);
    return image.to(torch::kFloat32);
  };
  const torch::Tensor decoded = apply_tiled(width, height, request.vae_tiles, decode).cpu();
  observe("decoded", decoded);
  return decoded;
}

}  // namespace livepeer
