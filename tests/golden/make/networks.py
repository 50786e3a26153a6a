"""The networks of diffusers one by one: UNet, both autoencoders, and what their modules return."""

import re

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from diffusers.models.embeddings import get_timestep_embedding

from record import randn

# name, height and width, class labels by timestep, tokens of text
UNET_CASES = [
    ("unet_16x16", (16, 16), {981: [20, 20], 501: [100, 100], 1: [0, 350]}, 77),
    ("unet_24x40", (24, 40), {981: [20, 20], 501: [100, 100], 1: [20, 20]}, 77),
    ("unet_12x20_notmult8", (12, 20), {961: [20]}, 77),
    ("unet_20x36_notmult8", (20, 36), {341: [20, 20]}, 77),
    ("unet_17x23_odd", (17, 23), {701: [20]}, 77),
    ("unet_16x16_ctx5", (16, 16), {501: [20]}, 5),
]
# Modules whose output is kept, and one resnet and some transformers in detail.
UNET_STAGES = re.compile(
    r"time_proj|time_embedding|class_embedding|conv_in|conv_norm_out|conv_out"
    r"|(down_blocks|up_blocks)\.\d|mid_block"
    r"|.*\.(resnets|attentions|downsamplers|upsamplers)\.\d"
    r"|(down|up)_blocks\.0\.resnets\.0\.(norm.|conv.|conv_shortcut|time_emb_proj)"
    r"|(down_blocks\.[13]|mid_block|up_blocks\.0)\.attentions\.0"
    r"\.(norm|proj_in|proj_out|transformer_blocks\.0(\.(attn.|ff|norm.))?)"
)
DECODER_STAGES = re.compile(
    r"post_quant_conv|decoder\.(conv_in|conv_norm_out|mid_block|up_blocks\.\d)"
    r"|decoder\.mid_block\.(attentions\.0(\.group_norm)?|resnets\.\d)"
    r"|decoder\.up_blocks\.0\.(resnets|upsamplers)\.0"
)
VAE_DECODE_CASES = [
    ("vae_decode_8x8_blocks", (1, 4, 8, 8)),
    ("vae_decode_16x16", (1, 4, 16, 16)),
    ("vae_decode_5x7", (1, 4, 5, 7)),
    ("vae_decode_b2_6x4", (2, 4, 6, 4)),
]
VAE_ENCODE_CASES = [
    ("vae_encode_32x32", (32, 32)),
    ("vae_encode_36x28", (36, 28)),
    ("vae_encode_33x30_odd", (33, 30)),
]


def load(network, folder):
    return network.from_pretrained(folder, torch_dtype=torch.float64).eval()


def record_stages(network, names, tensors):
    """From now on the outputs of the modules called `names` are kept, first outputs of tuples."""
    for path, module in network.named_modules():
        if not names.fullmatch(path):
            continue

        def keep(module, args, output, path=path):
            output = getattr(output, "sample", output)
            tensors[path] = output[0] if isinstance(output, tuple) else output

        module.register_forward_hook(keep)


def unet_case(record, unet, name, size, labels, n_tokens):
    batch = len(next(iter(labels.values())))
    width = unet.config.cross_attention_dim
    with record.tensors(name) as tensors:
        sample = tensors.given_randn("sample", batch, 7, *size).double()
        text = tensors.given_randn("encoder_hidden_states", batch, n_tokens, width).double()
        for timestep, values in labels.items():
            tensors[f"class_labels.t{timestep}"] = levels = torch.tensor(values)
            tensors[f"out.t{timestep}"] = unet(sample, timestep, text, class_labels=levels).sample
        record.add(name, "unet", tensors.path, timesteps=list(labels), shape=[batch, 7, *size])


def unet_blocks_case(record, unet):
    name, timestep, level = "unet_blocks_16x16", 501, 20
    with record.tensors(name) as tensors:
        sample = tensors.given_randn("in.sample", 1, 7, 16, 16).double()
        width = unet.config.cross_attention_dim
        text = tensors.given_randn("in.encoder_hidden_states", 1, 77, width).double()
        record_stages(unet, UNET_STAGES, tensors)

        def keep_embedding(module, args, kwargs):
            tensors["emb"] = kwargs["temb"]

        unet.down_blocks[0].register_forward_pre_hook(keep_embedding, with_kwargs=True)
        tensors["out"] = unet(sample, timestep, text, class_labels=torch.tensor([level])).sample
        record.add(name, "unet_blocks", tensors.path, timestep=timestep, class_label=level)


def time_proj_case(record):
    with record.tensors("time_proj") as tensors:
        tensors["timesteps"] = timesteps = torch.tensor([0, 1, 20, 100, 501, 981, 999.0])
        for name, width in [("tiny_16", 16), ("real_256", 256)]:
            tensors[name] = get_timestep_embedding(
                timesteps, width, flip_sin_to_cos=True, downscale_freq_shift=0
            )
        record.add("time_proj", "time_proj", tensors.path)


def vae_decode_case(record, vae, name, shape):
    with record.tensors(name) as tensors:
        z = tensors.given_randn("z", *shape, scale=12 if "blocks" in name else 3)
        if "blocks" in name:
            record_stages(vae, DECODER_STAGES, tensors)
        tensors["sample"] = vae.decode(z.double()).sample
        record.add(name, "vae_decode", tensors.path)


def vae_legacy_case(record):
    """No tensors of its own: the same output under other names of parameters."""
    vae = load(AutoencoderKL, record.model("vae_legacy_keys"))
    current = load(AutoencoderKL, record.model("tiny-upscaler/vae"))
    z = randn("vae_legacy_keys", 1, 4, 4, 4).double()
    assert torch.equal(vae.decode(z).sample, current.decode(z).sample)
    record.add(
        "vae_legacy_keys",
        "vae_decode",
        "tensors/vae_decode_16x16.safetensors",
        model="vae_legacy_keys",
    )


def vae_encode_case(record, vae, name, size):
    with record.tensors(name) as tensors:
        x = picture(tensors, "x", name, size)
        latents = vae.encode(x.double()).latent_dist
        noise = tensors.given_randn("noise", *latents.mean.shape)
        for part in ["mean", "logvar", "std"]:
            tensors[part] = getattr(latents, part)
        tensors["sample_with_noise"] = latents.mean + latents.std * noise
        record.add(name, "vae_encode", tensors.path)


def picture(tensors, key, name, size):
    return tensors.given(key, lambda: randn(f"{name} {key}", 1, 3, *size).clamp(-1, 1))


def vae_tiny_case(record):
    name, folder = "autoencoder_tiny", "tiny-autoencoder-tiny"
    vae = load(AutoencoderTiny, record.model(folder))
    with record.tensors(name) as tensors:
        for size in [(5, 7), (12, 20), (16, 16)]:
            key = "%dx%d" % size
            z = tensors.given_randn(f"z.{key}", 1, 4, *size, scale=1.5)
            tensors[f"decoded.{key}"] = vae.decode(z.double()).sample
        for size in [(32, 32), (36, 28)]:
            key = "%dx%d" % size
            x = picture(tensors, f"x.{key}", name, size)
            tensors[f"encoded.{key}"] = vae.encode(x.double()).latents
        record.add(name, "vae_tiny", tensors.path, model=folder)


def make(record):
    unet = load(UNet2DConditionModel, record.model("tiny-upscaler/unet"))
    for name, size, labels, n_tokens in UNET_CASES:
        unet_case(record, unet, name, size, labels, n_tokens)
    unet_blocks_case(record, unet)
    time_proj_case(record)
    for name, shape in VAE_DECODE_CASES:
        # A fresh one each, since one of the cases leaves its observers behind.
        vae_decode_case(record, load(AutoencoderKL, record.model("tiny-upscaler/vae")), name, shape)
    vae = load(AutoencoderKL, record.model("tiny-upscaler/vae"))
    for name, size in VAE_ENCODE_CASES:
        vae_encode_case(record, vae, name, size)
    vae_legacy_case(record)
    vae_tiny_case(record)
