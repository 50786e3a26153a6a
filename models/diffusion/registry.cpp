#include "diffusion/registry.h"

#include <algorithm>
#include <numeric>

#include "diffusion/schedulers/schedulers.h"
#include "nn/clip/clip_text_model.h"
#include "nn/embedded/autoencoder_pixel_shuffle.h"
#include "nn/embedded/denoiser_ensemble.h"
#include "nn/embedded/flat_denoiser.h"
#include "nn/unet/unet_2d_condition_model.h"
#include "nn/vae/autoencoder_kl.h"
#include "nn/vae/autoencoder_tiny.h"
#include "text/clip_tokenizer.h"
#include "weights/component_source.h"

namespace livepeer {
namespace {

template <typename Interface>
struct Entry {
  const char *class_name;
  std::shared_ptr<Interface> (*load)(const Component &, const WeightOptions &);
};

/// A class made from its configuration and its weights.
template <typename Interface, typename Class>
std::shared_ptr<Interface> load_weights(const Component &component, const WeightOptions &options) {
  ComponentSource source(component.open_weights(options.dtype != torch::kFloat), options);
  auto result = std::make_shared<Class>(component.config(), ParameterScope(source));
  source.finish();
  return result;
}

/// Teaches both the word, and for each of several vectors a word of its own, as diffusers does.
void add(const TextualInversion &inversion, ClipTokenizer &tokenizer, CLIPTextModel &network) {
  const auto vectors = read_tensor(*inversion.file, inversion.entry)
                           .to(torch::kFloat)
                           .view({inversion.vectors(), network.channels()});
  if (!torch::isfinite(vectors).all().item<bool>())
    throw Error(ErrorKind::open_read,
                "The embedding " + inversion.file->path() +
                    " holds values that are not numbers or infinite. Fetch it again.",
                inversion.file->path());
  std::vector<int64_t> ids(size_t(inversion.vectors()));
  std::iota(ids.begin(), ids.end(), network.vocab_size());
  network.add_embeddings(vectors);
  tokenizer.add_token(inversion.token, ids);
  for (size_t i = 1; i < ids.size(); ++i)
    tokenizer.add_token(inversion.token + "_" + std::to_string(i), {ids[i]});
}

/// Upscaling needs no encoder.
struct DecodingAutoencoderKL : AutoencoderKL {
  DecodingAutoencoderKL(const Config &config, const ParameterScope &scope)
      : AutoencoderKL(config, scope, /*with_encoder=*/false) {}
};

constexpr Entry<Denoiser> denoisers[] = {
    {"UNet2DConditionModel", load_weights<Denoiser, UNet2DConditionModel>},
    {"FlatDenoiser", load_weights<Denoiser, FlatDenoiser>},
    {"DenoiserEnsemble", load_weights<Denoiser, DenoiserEnsemble>},
};

constexpr Entry<Vae> vaes[] = {
    {"AutoencoderKL", load_weights<Vae, DecodingAutoencoderKL>},
    {"AutoencoderPixelShuffle",
     [](const Component &component, const WeightOptions &) -> std::shared_ptr<Vae> {
       return std::make_shared<AutoencoderPixelShuffle>(component.config());
     }},
    {"AutoencoderTiny", load_weights<Vae, AutoencoderTiny>},
};

constexpr Entry<CLIPTextModel> text_encoders[] = {
    {"CLIPTextModel", load_weights<CLIPTextModel, CLIPTextModel>},
};

constexpr Entry<ClipTokenizer> tokenizers[] = {
    {"CLIPTokenizer",
     [](const Component &component, const WeightOptions &) {
       return std::make_shared<ClipTokenizer>(component.folder());
     }},
};

template <typename Interface, size_t size>
const Entry<Interface> &find(const Entry<Interface> (&table)[size], const Component &component) {
  std::string supported;
  for (const Entry<Interface> &entry : table) {
    if (component.class_name() == entry.class_name) return entry;
    supported += (supported.empty() ? "" : ", ") + std::string(entry.class_name);
  }
  throw Error(ErrorKind::open_read,
              "The model's component " + component.folder() + " is of the class '" +
                  component.class_name() +
                  "', which is not supported; supported there: " + supported + ".",
              component.config().origin());
}

}  // namespace

std::shared_ptr<Denoiser> load_denoiser(const Component &component, const WeightOptions &options) {
  return find(denoisers, component).load(component, options);
}

std::shared_ptr<Vae> load_vae(const Component &component, const WeightOptions &options) {
  return find(vaes, component).load(component, options);
}

PromptEncoder load_prompt_encoder(const Component &tokenizer, const Component &text_encoder,
                                  const WeightOptions &options,
                                  const TextualInversions &inversions) {
  auto ids = find(tokenizers, tokenizer).load(tokenizer, options);
  auto network = find(text_encoders, text_encoder).load(text_encoder, options);
  if (ids->largest_id() >= network->vocab_size() || ids->max_length() > network->max_positions())
    throw Error(
        ErrorKind::open_read,
        "The tokenizer of the model does not fit its text encoder; fetch the snapshot again.",
        tokenizer.folder() + ": ids up to " + std::to_string(ids->largest_id()) + ", " +
            std::to_string(ids->max_length()) + " tokens; " + text_encoder.folder() + ": " +
            std::to_string(network->vocab_size()) + " ids, " +
            std::to_string(network->max_positions()) + " tokens");
  for (const TextualInversion &inversion : inversions.all) add(inversion, *ids, *network);
  const torch::Device device = options.device;
  const auto encode = [ids, network, device](const std::string &prompt) {
    return network->forward(torch::tensor(ids->encode(prompt).ids).unsqueeze(0).to(device));
  };
  const auto measure = [ids](const std::string &prompt) {
    const size_t tokens = ids->tokenize(prompt).size(), most = size_t(ids->max_length()) - 2;
    return StableDiffusionUpscalePipeline::PromptLength{tokens, std::min(tokens, most)};
  };
  return {encode, measure};
}

void check_classes(const Snapshot &snapshot) {
  const std::string pipeline = snapshot.index().get<std::string>("_class_name", "");
  if (pipeline != "StableDiffusionUpscalePipeline")
    throw Error(ErrorKind::open_read,
                "The model " + snapshot.path() + " is a '" + pipeline +
                    "'; this element needs a StableDiffusionUpscalePipeline, such as "
                    "stabilityai/stable-diffusion-x4-upscaler.",
                snapshot.index().origin());
  find(denoisers, snapshot.component("unet"));
  find(vaes, snapshot.component("vae"));
  find(text_encoders, snapshot.component("text_encoder"));
  find(tokenizers, snapshot.component("tokenizer"));
  make_scheduler(snapshot.component("scheduler").config());
  NoiseSchedule(snapshot.component("low_res_scheduler").config());
}

}  // namespace livepeer
