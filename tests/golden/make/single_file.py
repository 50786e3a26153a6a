"""The miniature in one file, under the names of the code that the published model was trained with.

What is recorded is the list of names, after diffusers' from_single_file has made the very weights of
the snapshot from such a file; tests write the file themselves. And files of torch.save, in both of its
formats, with what trainings leave in them.
"""

import collections
import contextlib
import os
import tempfile

import torch
from diffusers import StableDiffusionUpscalePipeline
from safetensors.torch import load_file, save_file

from miniature import DEPRECATED_NAMES, TEXT_ENCODER, UNET, VAE, renamed
from record import randn, write_json

RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}


def unet_modules():
    """Pairs of module prefixes, the original's first; walked as the original builds its lists."""
    layers = UNET["layers_per_block"]
    pairs = [
        ("time_embed.0", "time_embedding.linear_1"),
        ("time_embed.2", "time_embedding.linear_2"),
        ("label_emb", "class_embedding"),
        ("input_blocks.0.0", "conv_in"),
        ("middle_block.1", "mid_block.attentions.0"),
        ("out.0", "conv_norm_out"),
        ("out.2", "conv_out"),
    ]

    def add_resnet(original, ours):
        pairs.extend((f"{original}.{a}", f"{ours}.{b}") for a, b in RESNET.items())

    add_resnet("middle_block.0", "mid_block.resnets.0")
    add_resnet("middle_block.2", "mid_block.resnets.1")
    place = 0
    for i, kind in enumerate(UNET["down_block_types"]):
        for j in range(layers):
            place += 1
            add_resnet(f"input_blocks.{place}.0", f"down_blocks.{i}.resnets.{j}")
            if kind.startswith("CrossAttn"):
                pairs.append((f"input_blocks.{place}.1", f"down_blocks.{i}.attentions.{j}"))
        if i + 1 < len(UNET["down_block_types"]):
            place += 1
            pairs.append((f"input_blocks.{place}.0.op", f"down_blocks.{i}.downsamplers.0.conv"))
    place = -1
    for i, kind in enumerate(UNET["up_block_types"]):
        for j in range(layers + 1):
            place += 1
            next_module = 1
            add_resnet(f"output_blocks.{place}.0", f"up_blocks.{i}.resnets.{j}")
            if kind.startswith("CrossAttn"):
                pairs.append((f"output_blocks.{place}.1", f"up_blocks.{i}.attentions.{j}"))
                next_module = 2
            if j == layers and i + 1 < len(UNET["up_block_types"]):
                ours = f"up_blocks.{i}.upsamplers.0.conv"
                pairs.append((f"output_blocks.{place}.{next_module}.conv", ours))
    return pairs


def vae_modules():
    layers, blocks = VAE["layers_per_block"], len(VAE["block_out_channels"])
    pairs = [("quant_conv", "quant_conv"), ("post_quant_conv", "post_quant_conv")]

    def add_resnet(original, ours):
        for part in ["norm1", "conv1", "norm2", "conv2"]:
            pairs.append((f"{original}.{part}", f"{ours}.{part}"))
        pairs.append((f"{original}.nin_shortcut", f"{ours}.conv_shortcut"))

    for side in ["encoder", "decoder"]:
        pairs.append((f"{side}.conv_in", f"{side}.conv_in"))
        pairs.append((f"{side}.norm_out", f"{side}.conv_norm_out"))
        pairs.append((f"{side}.conv_out", f"{side}.conv_out"))
        add_resnet(f"{side}.mid.block_1", f"{side}.mid_block.resnets.0")
        add_resnet(f"{side}.mid.block_2", f"{side}.mid_block.resnets.1")
        names = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}
        for original, ours in names.items():
            pairs.append((f"{side}.mid.attn_1.{original}", f"{side}.mid_block.attentions.0.{ours}"))
    for i in range(blocks):
        for j in range(layers):
            add_resnet(f"encoder.down.{i}.block.{j}", f"encoder.down_blocks.{i}.resnets.{j}")
        for j in range(layers + 1):  # the original counts them from the picture
            ours = f"decoder.up_blocks.{blocks - 1 - i}.resnets.{j}"
            add_resnet(f"decoder.up.{i}.block.{j}", ours)
        if i + 1 < blocks:
            ours = f"encoder.down_blocks.{i}.downsamplers.0.conv"
            pairs.append((f"encoder.down.{i}.downsample.conv", ours))
        if i > 0:
            ours = f"decoder.up_blocks.{blocks - 1 - i}.upsamplers.0.conv"
            pairs.append((f"decoder.up.{i}.upsample.conv", ours))
    return pairs


def named(modules, state):
    """{original name: [names that it holds, one below the other]} of all of `state`."""
    names = {}
    for original, ours in modules:
        for key in state:
            if key.startswith(ours + "."):
                names[original + key[len(ours) :]] = [key]
    assert sorted(sum(names.values(), [])) == sorted(state), set(state) - set(sum(names.values(), []))
    return names


def text_names():
    model = "text_model."
    names = {
        "positional_embedding": [f"{model}embeddings.position_embedding.weight"],
        "token_embedding.weight": [f"{model}embeddings.token_embedding.weight"],
    }
    parts = {
        "ln_1": "layer_norm1",
        "ln_2": "layer_norm2",
        "attn.out_proj": "self_attn.out_proj",
        "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
    }
    for kind in ["weight", "bias"]:
        names[f"ln_final.{kind}"] = [f"{model}final_layer_norm.{kind}"]
        for i in range(TEXT_ENCODER["num_hidden_layers"]):
            original, ours = f"transformer.resblocks.{i}", f"{model}encoder.layers.{i}"
            for one, other in parts.items():
                names[f"{original}.{one}.{kind}"] = [f"{ours}.{other}.{kind}"]
            fused = [f"{ours}.self_attn.{part}_proj.{kind}" for part in "qkv"]
            names[f"{original}.attn.in_proj_{kind}"] = fused
    return names


# What the published file holds beside the three networks. The last layer of the text encoder is one
# of these: the model was trained on what goes into it.
def unused():
    size, last = TEXT_ENCODER["hidden_size"], TEXT_ENCODER["num_hidden_layers"]
    layer = f"cond_stage_model.model.transformer.resblocks.{last}."
    return {
        "betas": [1000],
        "low_scale_model.betas": [1000],
        "model_ema.diffusion_modelinput_blocks00weight": [8, 7, 3, 3],
        "cond_stage_model.model.logit_scale": [],
        "cond_stage_model.model.text_projection": [size, size],
        layer + "attn.in_proj_weight": [3 * size, size],
        layer + "attn.in_proj_bias": [3 * size],
        layer + "attn.out_proj.weight": [size, size],
        layer + "attn.out_proj.bias": [size],
    }


def current(state):
    """A VAE's state under today's names of attention."""
    return renamed(state, {old: name for name, old in DEPRECATED_NAMES.items()})


def make_names(record):
    folder = record.model("tiny-upscaler")
    unet = load_file(f"{folder}/unet/diffusion_pytorch_model.safetensors")
    vae = current(load_file(f"{folder}/vae/diffusion_pytorch_model.safetensors"))
    text = load_file(f"{folder}/text_encoder/model.safetensors")
    del text["text_model.embeddings.position_ids"]
    components = {
        "unet": ("model.diffusion_model.", named(unet_modules(), unet), unet),
        "vae": ("first_stage_model.", named(vae_modules(), vae), vae),
        "text_encoder": ("cond_stage_model.model.", text_names(), text),
    }
    state, names = {}, {}
    for component, (prefix, table, values) in components.items():
        assert sorted(sum(table.values(), [])) == sorted(values)
        names[component] = {prefix + key: parts for key, parts in sorted(table.items())}
        for key, parts in names[component].items():
            state[key] = torch.cat([values[part] for part in parts]) if parts[1:] else values[parts[0]]
            if ".mid.attn_1." in key and state[key].dim() == 2:
                state[key] = state[key][:, :, None, None]  # a convolution of one pixel there
    for key, shape in unused().items():
        state[key] = randn(f"unused {key}", *shape)

    with tempfile.TemporaryDirectory() as temporary:
        path = f"{temporary}/x4-upscaler.safetensors"
        save_file({key: value.contiguous() for key, value in state.items()}, path)
        # Of the tokenizer only its files are looked for: transformers wants the vocabulary spelt out.
        loaded = StableDiffusionUpscalePipeline.from_single_file(
            path, config=folder, local_files_only=True, tokenizer=object, torch_dtype=torch.float32
        )
    for component, (_, _, values) in components.items():
        made = getattr(loaded, component).state_dict()
        for key, value in values.items():
            assert torch.equal(made[key], value.reshape(made[key].shape)), key
    write_json(os.path.join(record.folder, "single_file.json"), {**names, "unused": unused()})


@contextlib.contextmanager
def numbered_storages():
    """The old format calls storages by their addresses, which differ from run to run."""
    address = torch.UntypedStorage._cdata
    numbers = {}

    def number(storage):
        return numbers.setdefault(address.__get__(storage), len(numbers))

    torch.UntypedStorage._cdata = property(number)
    try:
        yield
    finally:
        del torch.UntypedStorage._cdata


class Progress:
    """An object that a training leaves in its checkpoints."""

    def __init__(self):
        self.epoch = 3


def make_torch_files(record):
    folder = os.path.join(record.folder, "torch_files")
    os.makedirs(folder, exist_ok=True)
    linear = torch.nn.Linear(3, 2)
    linear.weight.data = randn("torch file weight", 2, 3)
    linear.bias.data = randn("torch file bias", 2)
    rows = randn("torch file rows", 4, 3)
    state = collections.OrderedDict(
        linear.state_dict(),
        half=rows.half(),
        bfloat=rows.bfloat16(),
        double=rows.double(),
        integers=torch.arange(5),
        flags=torch.tensor([True, False]),
        scalar=torch.tensor(2.5),
        part=rows[1:3],
        empty=torch.zeros(0, 3),
        parameter=torch.nn.Parameter(rows[0].clone()),
    )
    state._metadata = collections.OrderedDict(version=1)
    expected = {key: value.detach().clone() for key, value in state.items()}
    save_file(expected, f"{folder}/expected.safetensors")
    state["transposed"] = rows.t()
    state["callback"] = Progress()
    training = {"epoch": 3, "callbacks": {"p": Progress()}, "state_dict": state, "lr": 1e-4, "tags": {1}}
    torch.save(state, f"{folder}/zip.bin")
    torch.save(training, f"{folder}/training.ckpt")
    torch.save(training, f"{folder}/protocol_4.ckpt", pickle_protocol=4)
    with numbered_storages():
        torch.save(training, f"{folder}/old.pt", _use_new_zipfile_serialization=False)


def make(record):
    make_names(record)
    record.add("single_file", "names", "single_file.json")
    make_torch_files(record)
    record.add("torch_files", "torch_files", "torch_files/expected.safetensors")
