#include "diffusion/torch_model_loader.h"

#include <torch/utils.h>

#include <algorithm>

#include "diffusion/compute_device.h"
#include "diffusion/diffusion_model.h"
#include "diffusion/registry.h"
#include "io/lora.h"
#include "io/model_lookup.h"
#include "io/snapshot.h"
#include "io/textual_inversion.h"
#include "kernels/cpu_level.h"
#include "runtime/log.h"
#include "safety/safety_checker.h"

namespace livepeer {
namespace {

int64_t text_width(const Snapshot &snapshot) {
  return snapshot.component("text_encoder").config().get<int64_t>("hidden_size", 512);
}

/// What a spec means on this machine, and the files that it opens.
struct Resolved {
  explicit Resolved(const ModelSpec &spec)
      : device(find_device(spec.device)),
        dtype(find_dtype(spec.precision, device)),
        snapshot(find_model(spec.model)),
        safety_folder(spec.safety_check ? find_safety_checker(spec.safety_model, snapshot) : "") {
    check_classes(snapshot);
    snapshot.check_weights(prefer_half());
    loras = open_loras(spec.lora, snapshot, prefer_half());
    inversions = open_textual_inversions(spec.embeddings, text_width(snapshot));
    origin = snapshot.path() + "|" + snapshot.fingerprint() + "|" + device.str() + "|" +
             dtype_name(dtype);
    if (safety_folder.empty()) return;
    const Component component(safety_folder);
    component.weight_files(/*prefer_half=*/false);  // throws where there are none
    checker_origin = component.folder() + "|" + component.fingerprint() + "|" + device.str();
  }
  bool prefer_half() const { return dtype != torch::kFloat32; }

  torch::Device device;
  torch::Dtype dtype;
  Snapshot snapshot;
  std::string safety_folder;
  LoraSet loras;
  TextualInversions inversions;
  std::string origin, checker_origin;  ///< tell files and their versions, device and type
};

uint64_t weight_bytes(const Snapshot &snapshot, bool prefer_half) {
  uint64_t sum = 0;
  for (const auto &[name, component] : snapshot.components())
    if (component.has_weights())
      for (const auto &file : component.open_weights(prefer_half))
        for (const auto &[tensor, entry] : file->tensors()) sum += entry.bytes;
  return sum;
}

/// Working memory per low-resolution pixel, from the widths of the layers at full resolution:
/// roughly what is alive at once; measured for the flat denoiser, an estimate for the others. The
/// wide layers of a UNet run on both prompts, and those of a decoder on 16 pixels.
uint64_t bytes_per_pixel(const Snapshot &snapshot, torch::Dtype dtype, int64_t latent_channels) {
  const auto widest = [](const Config &config) -> uint64_t {
    if (!config.has("block_out_channels")) return 0;
    return config.require<std::vector<uint64_t>>("block_out_channels").front();
  };
  const Config &unet = snapshot.component("unet").config();
  const uint64_t value = torch::elementSize(dtype);
  const uint64_t denoiser = value * (32 * widest(unet) + 4 * unet.get<uint64_t>("channels", 0));
  const uint64_t decoder = 64 * value * widest(snapshot.component("vae").config());
  return std::max(denoiser, decoder) + 4 * sizeof(float) * uint64_t(latent_channels);
}

void log_processor(const Resolved &resolved) {
  if (!resolved.device.is_cpu()) return;
  log(LogLevel::info, "instructions of the level " + kernels::cpu_level_and_why());
  if (resolved.dtype == torch::kBFloat16 && kernels::cpu_level() < kernels::CpuLevel::avx512_bf16)
    log(LogLevel::warning,
        "This processor does not compute in bfloat16, which is emulated and slow; set precision to "
        "auto or float32");
}

/// The denoiser takes the latent and the low-resolution picture, stacked.
void check_fit(const Snapshot &snapshot, const Denoiser &unet, const Vae &vae) {
  constexpr int64_t picture_channels = 3;
  if (unet.in_channels() == vae.latent_channels() + picture_channels) return;
  throw Error(ErrorKind::open_read,
              "The unet of the model " + snapshot.path() + " takes " +
                  std::to_string(unet.in_channels()) + " channels, but its vae makes latents of " +
                  std::to_string(vae.latent_channels()) + " (plus " +
                  std::to_string(picture_channels) +
                  " of the picture); they are not of one model. Fetch the snapshot again.",
              snapshot.path());
}

DiffusionModelInfo describe(const Resolved &resolved, const Vae &vae) {
  const Config &index = resolved.snapshot.index();
  DiffusionModelInfo info;
  info.id = model_id_of(resolved.snapshot.path());
  info.device = resolved.device.str();
  info.precision = dtype_name(resolved.dtype);
  if (resolved.device.is_cpu()) info.cpu_level = kernels::cpu_level_and_why();
  info.defaults = {index.get<unsigned>("default_num_inference_steps", 75),
                   index.get<double>("default_guidance_scale", 9.0),
                   index.get<int>("default_noise_level", 20),
                   index.get<double>("default_noise_temperature", 1.0)};
  info.max_noise_level = index.get<int>("max_noise_level", 350);
  info.bytes_per_pixel = bytes_per_pixel(resolved.snapshot, resolved.dtype, vae.latent_channels());
  return info;
}

}  // namespace

CheckedModel TorchModelLoader::check(const ModelSpec &spec) {
  const auto resolved = std::make_shared<const Resolved>(spec);
  return {resolved->origin + "|" + resolved->checker_origin + "|" + resolved->loras.identity + "|" +
              resolved->inversions.identity,
          resolved};
}

std::shared_ptr<UpscaleModel> TorchModelLoader::load(const ModelSpec &spec,
                                                     const std::shared_ptr<const void> &opened,
                                                     Progress &progress) {
  const torch::NoGradGuard no_grad;
  const auto known = opened ? std::static_pointer_cast<const Resolved>(opened)
                            : std::make_shared<const Resolved>(spec);
  const Resolved &resolved = *known;
  const Snapshot &snapshot = resolved.snapshot;
  log_processor(resolved);

  WeightOptions options;
  options.device = resolved.device;
  options.dtype = resolved.dtype;
  options.channels_last = resolved.device.is_cpu();
  const double total = double(weight_bytes(snapshot, resolved.prefer_half()));
  uint64_t read = 0;
  options.on_read = [&](uint64_t bytes) {
    read += bytes;
    progress.advance(std::min(double(read) / std::max(total, 1.0), 1.0), "loading weights");
  };
  const auto options_of = [&](const std::string &component) {
    WeightOptions of = options;
    of.lora = resolved.loras.of(component);
    of.shared = {parameters_, resolved.origin + "|" + component, resolved.loras.identity};
    return of;
  };
  // The activations of a decoder outgrow float16; diffusers decodes in float32 there, too.
  WeightOptions vae_options = options_of("vae");
  if (options.dtype == torch::kFloat16) vae_options.dtype = torch::kFloat32;

  StableDiffusionUpscalePipeline::Components components{
      load_denoiser(snapshot.component("unet"), options_of("unet")),
      load_vae(snapshot.component("vae"), vae_options),
      {},
      snapshot.component("scheduler").config(),
      NoiseSchedule(snapshot.component("low_res_scheduler").config()),
      resolved.device};
  const PromptEncoder text =
      load_prompt_encoder(snapshot.component("tokenizer"), snapshot.component("text_encoder"),
                          options_of("text_encoder"), resolved.inversions);
  components.encode_prompt = text.encode;
  components.measure_prompt = text.measure;
  check_fit(snapshot, *components.unet, *components.vae);
  std::unique_ptr<SafetyChecker> checker;
  if (!resolved.safety_folder.empty()) {
    WeightOptions safety_options = options;
    safety_options.shared = {parameters_, resolved.checker_origin, {}};
    checker = load_safety_checker(resolved.safety_folder, safety_options);
  }
  progress.advance(1, "loaded");
  DiffusionModelInfo info = describe(resolved, *components.vae);
  return std::make_shared<DiffusionModel>(std::move(info), std::move(components),
                                          std::move(checker));
}

}  // namespace livepeer
