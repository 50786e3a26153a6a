#include "train/snapshot_configs.h"

#include "train/words.h"

namespace livepeer::train {
namespace {

constexpr int64_t train_timesteps = 1000;
constexpr int64_t text_dim = 64;
/// Of the latents around the one-step answer; found with `evaluate`, see models/default/README.md.
constexpr double posterior_variance = 0.6;

}  // namespace

Config unet_config(const Options &options) {
  return {{{"_class_name", "DenoiserEnsemble"},
           {"in_channels", 51},
           {"out_channels", 48},
           {"channels", options.channels},
           {"num_blocks", options.blocks},
           {"embedding_dim", 128},
           {"text_dim", text_dim},
           {"num_train_timesteps", train_timesteps},
           {"first_expert_from", train_timesteps - 1}},
          "unet/config.json"};
}

Config vae_config() {
  return {{{"_class_name", "AutoencoderPixelShuffle"},
           {"scaling_factor", 1 / 0.12},
           {"bicubic_coefficient", -0.5},
           {"latent_channels", 48}},
          "vae/config.json"};
}

Config scheduler_config() {
  return {{{"_class_name", "DDIMScheduler"},
           {"num_train_timesteps", train_timesteps},
           {"beta_schedule", "scaled_linear"},
           {"beta_start", 1e-5},
           {"beta_end", 0.002},
           {"prediction_type", "v_prediction"},
           {"rescale_betas_zero_snr", true},
           {"timestep_spacing", "trailing"},
           {"clip_sample", false},
           {"posterior_variance", posterior_variance},
           {"set_alpha_to_one", true},
           {"steps_offset", 0}},
          "scheduler/scheduler_config.json"};
}

Config low_res_scheduler_config() {
  return {{{"_class_name", "DDPMScheduler"},
           {"num_train_timesteps", train_timesteps},
           {"beta_schedule", "linear"},
           {"beta_start", 0.0},
           {"beta_end", 0.02},
           {"prediction_type", "epsilon"},
           {"clip_sample", false}},
          "low_res_scheduler/scheduler_config.json"};
}

Config text_encoder_config() {
  const auto size = int64_t(vocabulary().tokens.size());
  return {{{"architectures", {"CLIPTextModel"}},
           {"model_type", "clip_text_model"},
           {"vocab_size", size},
           {"bos_token_id", size - 2},
           {"eos_token_id", size - 1},
           {"pad_token_id", size - 1},
           {"hidden_size", text_dim},
           {"intermediate_size", 4 * text_dim},
           {"num_hidden_layers", 1},
           {"num_attention_heads", 4},
           {"max_position_embeddings", 77},
           {"hidden_act", "quick_gelu"},
           {"layer_norm_eps", 1e-5}},
          "text_encoder/config.json"};
}

}  // namespace livepeer::train
