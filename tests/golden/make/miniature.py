"""The miniature models: block types and layout of the published ones, few channels, weights drawn.

All weights are exact in float16, so that half-precision files and float32 files hold the same. Norms
are not 1 and 0, and attention is not uniform: a parameter swapped or forgotten shows.
"""

import os

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPTextConfig, CLIPTextModel

from record import randn, write_json
from vocabulary import SHIPPED

# What the published configurations leave to defaults is left out here too.
UNET = {
    "_class_name": "UNet2DConditionModel",
    "_diffusers_version": "0.8.0",
    "act_fn": "silu",
    "attention_head_dim": 4,
    "block_out_channels": [8, 16, 16, 24],
    "center_input_sample": False,
    "cross_attention_dim": 12,
    "down_block_types": ["DownBlock2D"] + ["CrossAttnDownBlock2D"] * 3,
    "downsample_padding": 1,
    "dual_cross_attention": False,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 7,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-05,
    "norm_num_groups": 4,
    "num_class_embeds": 1000,
    "only_cross_attention": [True, True, True, False],
    "out_channels": 4,
    "sample_size": 128,
    "up_block_types": ["CrossAttnUpBlock2D"] * 3 + ["UpBlock2D"],
    "use_linear_projection": True,
}
VAE = {
    "_class_name": "AutoencoderKL",
    "_diffusers_version": "0.8.0",
    "act_fn": "silu",
    "block_out_channels": [8, 16, 24],
    "down_block_types": ["DownEncoderBlock2D"] * 3,
    "in_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 2,
    "norm_num_groups": 4,
    "out_channels": 3,
    "sample_size": 256,
    "scaling_factor": 0.08333,
    "up_block_types": ["UpDecoderBlock2D"] * 3,
}
VAE_TINY = {
    "_class_name": "AutoencoderTiny",
    "_diffusers_version": "0.31.0",
    "act_fn": "relu",
    "decoder_block_out_channels": [16, 16, 16],
    "encoder_block_out_channels": [16, 16, 16],
    "force_upcast": False,
    "in_channels": 3,
    "latent_channels": 4,
    "latent_magnitude": 3,
    "latent_shift": 0.5,
    "num_decoder_blocks": [2, 2, 1],
    "num_encoder_blocks": [1, 2, 2],
    "out_channels": 3,
    "scaling_factor": 1.0,
    "upsampling_scaling_factor": 2,
}
TEXT_ENCODER = {
    "architectures": ["CLIPTextModel"],
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "dropout": 0.0,
    "eos_token_id": 2,
    "hidden_act": "gelu",
    "hidden_size": 12,
    "initializer_factor": 1.0,
    "initializer_range": 0.02,
    "intermediate_size": 40,
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 77,
    "model_type": "clip_text_model",
    "num_attention_heads": 4,
    "num_hidden_layers": 3,
    "pad_token_id": 1,
    "projection_dim": 512,
    "torch_dtype": "float32",
    "transformers_version": "4.25.0.dev0",
    "vocab_size": 49408,
}
SAFETY_CHECKER = {
    "architectures": ["StableDiffusionSafetyChecker"],
    "logit_scale_init_value": 2.6592,
    "model_type": "clip",
    "projection_dim": 20,
    "text_config": {"hidden_size": 32, "model_type": "clip_text_model"},
    "vision_config": {
        "hidden_act": "quick_gelu",
        "hidden_size": 32,
        "image_size": 56,
        "intermediate_size": 72,
        "layer_norm_eps": 1e-05,
        "model_type": "clip_vision_model",
        "num_attention_heads": 4,
        "num_channels": 3,
        "num_hidden_layers": 3,
        "patch_size": 14,
        "projection_dim": 20,
    },
}
PREPROCESSOR = {
    "crop_size": {"height": 56, "width": 56},
    "do_center_crop": True,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor",
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_processor_type": "CLIPImageProcessor",
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
    "size": {"shortest_edge": 56},
}
SCHEDULER = {
    "_class_name": "DDIMScheduler",
    "_diffusers_version": "0.8.0",
    "beta_end": 0.02,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.0001,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "prediction_type": "v_prediction",
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
}
LOW_RES_SCHEDULER = {
    "_class_name": "DDPMScheduler",
    "_diffusers_version": "0.8.0",
    "beta_end": 0.02,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.0001,
    "clip_sample": True,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "trained_betas": None,
    "variance_type": "fixed_small",
}
MODEL_INDEX = {
    "_class_name": "StableDiffusionUpscalePipeline",
    "_diffusers_version": "0.8.0",
    "low_res_scheduler": ["diffusers", "DDPMScheduler"],
    "max_noise_level": 350,
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def added_token(text):
    flags = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
    return {"content": text, **flags}


# The map's pad token wins over the configuration's, as in all of the SD 2 family.
SPECIAL_TOKENS = {
    "bos_token": added_token("<|startoftext|>"),
    "eos_token": added_token("<|endoftext|>"),
    "pad_token": "!",
    "unk_token": added_token("<|endoftext|>"),
}
TOKENIZER = {
    "add_prefix_space": False,
    "bos_token": {"__type": "AddedToken", **added_token("<|startoftext|>")},
    "do_lower_case": True,
    "eos_token": {"__type": "AddedToken", **added_token("<|endoftext|>")},
    "errors": "replace",
    "model_max_length": 77,
    "name_or_path": "tokenizer",
    "pad_token": "<|endoftext|>",
    "special_tokens_map_file": "./special_tokens_map.json",
    "tokenizer_class": "CLIPTokenizer",
    "unk_token": {"__type": "AddedToken", **added_token("<|endoftext|>")},
}

# Attention is sharper than by width alone, so that it prefers some keys; what is added to a residual
# is weaker than that, or bfloat16 would lose more here than in a trained network.
GAIN = {
    "to_q": 1.2,
    "to_k": 1.2,
    "q_proj": 2.0,
    "k_proj": 2.0,
    "conv2": 0.7,
    "proj_out": 0.7,
}
EMBEDDING_SCALE = {
    "class_embedding": 0.5,
    "token_embedding": 0.7,
    "position_embedding": 0.4,
}


def drawn(name, shape, is_norm, gain):
    """Values of one parameter: such that activations keep their size from layer to layer."""
    value = randn(name, *shape)
    last = name.split(".")[-2:]
    if is_norm:
        return 1 + 0.25 * value if last[-1] == "weight" else 0.2 * value
    if last[-1] == "bias":
        return 0.1 * value
    if last[0] in EMBEDDING_SCALE:
        return EMBEDDING_SCALE[last[0]] * value
    if len(shape) == 1:
        return 0.8 * value
    return value * GAIN.get(last[0], gain) / value[0].numel() ** 0.5


def draw_weights(name, model, gain=1.0):
    """The state of `model` in float32, every value drawn by its own name."""
    state = {}
    for path, module in model.named_modules():
        is_norm = isinstance(module, (torch.nn.GroupNorm, torch.nn.LayerNorm))
        for parameter, value in module.named_parameters(recurse=False):
            key = f"{path}.{parameter}".lstrip(".")
            state[key] = drawn(f"{name}.{key}", value.shape, is_norm, gain).half().float()
    return state


def save_weights(path, state, half=False):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    state = {
        key: value.half() if half and value.is_floating_point() else value.clone()
        for key, value in sorted(state.items())
    }
    save_file(state, path, metadata={"format": "pt"})


# Today's names in a VAE's attention, and those that the published float32 VAE was written with.
DEPRECATED_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def renamed(state, names):
    """A VAE's state with other names in its attention."""
    result = {}
    for key, value in state.items():
        for name, other in names.items():
            key = key.replace(f".attentions.0.{name}.", f".attentions.0.{other}.")
        result[key] = value
    return result


def deprecated(state):
    return renamed(state, DEPRECATED_NAMES)


def save_unet(folder):
    # A draw whose tiles show a seam where they are not blended; in the one before there is hardly any.
    state = draw_weights("unet 1", UNet2DConditionModel.from_config(UNET))
    write_json(f"{folder}/config.json", UNET)
    save_weights(f"{folder}/diffusion_pytorch_model.safetensors", state)
    save_weights(f"{folder}/diffusion_pytorch_model.fp16.safetensors", state, half=True)


def save_vae(folder, legacy_folder):
    state = draw_weights("vae", AutoencoderKL.from_config(VAE))
    write_json(f"{folder}/config.json", VAE)
    save_weights(f"{folder}/diffusion_pytorch_model.safetensors", deprecated(state))
    save_weights(f"{folder}/diffusion_pytorch_model.fp16.safetensors", state, half=True)
    write_json(f"{legacy_folder}/config.json", VAE)
    save_weights(
        f"{legacy_folder}/diffusion_pytorch_model.safetensors", deprecated(state), half=True
    )


def save_text_encoder(folder):
    state = draw_weights("text_encoder", CLIPTextModel(CLIPTextConfig.from_dict(TEXT_ENCODER)))
    # Published files carry these numbers, which are no weights.
    state["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    write_json(f"{folder}/config.json", TEXT_ENCODER)
    save_weights(f"{folder}/model.safetensors", state)
    save_weights(f"{folder}/model.fp16.safetensors", state, half=True)


def save_tokenizer(folder):
    write_json(f"{folder}/tokenizer_config.json", TOKENIZER)
    write_json(f"{folder}/special_tokens_map.json", SPECIAL_TOKENS)
    link = f"{folder}/merges.txt"
    if os.path.lexists(link):
        os.remove(link)
    os.symlink(os.path.relpath(f"{SHIPPED}/merges.txt", os.path.realpath(folder)), link)


def save_safety_checker(folder):
    model = StableDiffusionSafetyChecker(CLIPConfig.from_dict(SAFETY_CHECKER))
    state = draw_weights("safety_checker", model)
    # About half of the pictures of the case are above, in different places.
    state["concept_embeds_weights"] = torch.linspace(0.19, 0.35, 17).half().float()
    state["special_care_embeds_weights"] = torch.tensor([0.12, 0.32, 0.05]).half().float()
    write_json(f"{folder}/config.json", SAFETY_CHECKER)
    write_json(f"{folder}/preprocessor_config.json", PREPROCESSOR)
    save_weights(f"{folder}/model.safetensors", state)


def save_vae_tiny(folder):
    # A draw that bfloat16 does not spoil; others lose twice as much.
    state = draw_weights("vae_tiny 9", AutoencoderTiny.from_config(VAE_TINY), gain=1.3)
    write_json(f"{folder}/config.json", VAE_TINY)
    save_weights(f"{folder}/diffusion_pytorch_model.safetensors", state, half=True)


def save_all(folder):
    upscaler = f"{folder}/tiny-upscaler"
    write_json(f"{upscaler}/model_index.json", MODEL_INDEX)
    write_json(f"{upscaler}/scheduler/scheduler_config.json", SCHEDULER)
    write_json(f"{upscaler}/low_res_scheduler/scheduler_config.json", LOW_RES_SCHEDULER)
    save_unet(f"{upscaler}/unet")
    save_vae(f"{upscaler}/vae", f"{folder}/vae_legacy_keys")
    save_text_encoder(f"{upscaler}/text_encoder")
    save_tokenizer(f"{upscaler}/tokenizer")
    save_safety_checker(f"{folder}/tiny-safety-checker")
    save_vae_tiny(f"{folder}/tiny-autoencoder-tiny")
