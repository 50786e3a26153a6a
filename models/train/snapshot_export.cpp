#include "train/snapshot_export.h"

#include <filesystem>

#include "train/snapshot_configs.h"
#include "train/text_file.h"
#include "train/words.h"
#include "weights/weight_source.h"

namespace livepeer::train {

void export_snapshot(const std::string &folder, const EmbeddedModel &model,
                     const SnapshotDefaults &defaults) {
  NamedTensors unet, text_encoder;
  for (const auto &[name, tensor] : model.shipped_weights())
    (name.rfind("text_model.", 0) == 0 ? text_encoder : unet).emplace_back(name, tensor);
  for (const char *part :
       {"unet", "vae", "scheduler", "low_res_scheduler", "text_encoder", "tokenizer"})
    std::filesystem::create_directories(folder + "/" + part);

  write_json(folder + "/model_index.json",
             {{"_class_name", "StableDiffusionUpscalePipeline"},
              {"low_res_scheduler", {"diffusers", "DDPMScheduler"}},
              {"max_noise_level", model.options().max_noise_level},
              {"scheduler", {"diffusers", "DDIMScheduler"}},
              {"text_encoder", {"transformers", "CLIPTextModel"}},
              {"tokenizer", {"transformers", "CLIPTokenizer"}},
              {"unet", {"livepeer", "DenoiserEnsemble"}},
              {"vae", {"livepeer", "AutoencoderPixelShuffle"}},
              {"default_num_inference_steps", defaults.steps},
              {"default_guidance_scale", 1.0},
              {"default_noise_level", 0},
              {"default_noise_temperature", defaults.noise_temperature}});
  for (const Config &config : {unet_config(model.options()), vae_config(), scheduler_config(),
                               low_res_scheduler_config(), text_encoder_config()})
    write_json(folder + "/" + config.origin(), config.json());
  write_tensors(folder + "/unet/diffusion_pytorch_model.safetensors", unet);
  write_tensors(folder + "/text_encoder/model.safetensors", text_encoder);
  vocabulary().write(folder + "/tokenizer");
}

}  // namespace livepeer::train
