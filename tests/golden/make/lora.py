"""LoRAs for the miniature in every layout that is known, and what diffusers and peft make of them."""

import os

import torch
from safetensors.torch import load_file, save_file

from pipeline import load
from record import randn
from text import load_tokenizer

PROMPT = "a white cat"
# Layers and ranks; the last word of a convolution's name tells it.
UNET = {
    "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q": 2,
    "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_v": 4,
    "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_out.0": 2,
    "mid_block.attentions.0.transformer_blocks.0.attn1.to_k": 3,
    "up_blocks.2.attentions.1.transformer_blocks.0.attn1.to_out.0": 1,
}
UNET_REST = {
    "up_blocks.0.attentions.0.transformer_blocks.0.ff.net.0.proj": 2,
    "up_blocks.2.attentions.1.proj_in": 2,
    "down_blocks.0.resnets.1.conv1": 2,
    "down_blocks.1.resnets.0.conv_shortcut": 2,
    "down_blocks.2.downsamplers.0.conv": 3,
    "time_embedding.linear_1": 2,
}
TEXT = {
    "text_model.encoder.layers.0.self_attn.q_proj": 2,
    "text_model.encoder.layers.1.self_attn.out_proj": 2,
}
STEMS = {"unet": "lora_unet_", "text_encoder": "lora_te_"}
TEXT_REST = {"text_model.encoder.layers.2.mlp.fc1": 3}


def halves(name, layer, module, rank, scale=0.35):
    """(down, up): such that the product is a good part of the weight."""
    shape = module.weight.shape
    kernel = shape[2:]
    down = randn(f"{name} {layer} down", rank, *shape[1:]) * scale
    up = randn(f"{name} {layer} up", shape[0], rank, *[1 for _ in kernel]) * scale
    return down, up


def magnitude(name, layer, module):
    weight = module.weight.detach().float()
    length = weight.flatten(1).norm(dim=1)
    return length * (1 + 0.3 * randn(f"{name} {layer} magnitude", len(length)))


def layers(pipe, rest=True):
    """(component, layer, module, rank) of all that is changed."""
    pairs = [
        ("unet", UNET | (UNET_REST if rest else {})),
        ("text_encoder", TEXT | (TEXT_REST if rest else {})),
    ]
    for component, ranks in pairs:
        for layer, rank in ranks.items():
            yield component, layer, getattr(pipe, component).get_submodule(layer), rank


def peft_file(pipe, name, dora=False):
    state = {}
    for component, layer, module, rank in layers(pipe):
        down, up = halves(name, layer, module, rank)
        state[f"{component}.{layer}.lora_A.weight"] = down
        state[f"{component}.{layer}.lora_B.weight"] = up
        if dora:
            length = magnitude(name, layer, module)
            if module.weight.dim() == 4:
                length = length[None, :, None, None]
            state[f"{component}.{layer}.lora_magnitude_vector"] = length
    return state


def diffusers_file(pipe, name):
    """As diffusers wrote them while it had layers of its own for this."""
    state = {}
    for component, layer, module, rank in layers(pipe):
        down, up = halves(name, layer, module, rank)
        kind = "lora" if component == "unet" else "lora_linear_layer"
        state[f"{component}.{layer}.{kind}.down.weight"] = down
        state[f"{component}.{layer}.{kind}.up.weight"] = up
    return state


def processors_file(pipe, name):
    """As diffusers wrote them at first: in the processors of attention."""
    state = {}
    for component, layer, module, rank in layers(pipe, rest=False):
        down, up = halves(name, layer, module, rank)
        block, _, part = layer.removesuffix(".0").rpartition(".")
        if component == "unet":
            stem = f"{component}.{block}.processor.{part}_lora"
        else:
            old = {"q_proj": "to_q", "out_proj": "to_out"}[part]
            stem = f"{component}.{block}.{old}_lora"
        state[f"{stem}.down.weight"] = down
        state[f"{stem}.up.weight"] = up
    return state


def kohya_file(pipe, name, dora=False):
    state = {}
    for component, layer, module, rank in layers(pipe):
        if layer == "time_embedding.linear_1":
            continue  # diffusers loses it among the underscores
        down, up = halves(name, layer, module, rank)
        stem = {"unet": "lora_unet_", "text_encoder": "lora_te_"}[component] + layer.replace(
            ".", "_"
        )
        state[f"{stem}.lora_down.weight"] = down
        state[f"{stem}.lora_up.weight"] = up
        state[f"{stem}.alpha"] = torch.tensor(1.5 if rank == 2 else 2.0)
        if dora:
            state[f"{stem}.dora_scale"] = magnitude(name, layer, module)
    return state


def loadable(pipe, folder, name):
    """What diffusers loads for a file: the file, but for one whose dora_scale it would leave out.

    That becomes one of PEFT's, with the alphas in the products: where nothing tells them, diffusers
    takes the first layer's rank, which is 2, for all of them.
    """
    state = load_file(f"{folder}/{name}.safetensors")
    if name != "kohya_dora":
        return state
    result = {}
    for component, layer, module, _ in layers(pipe):
        stem = STEMS[component] + layer.replace(".", "_")
        if f"{stem}.alpha" not in state:
            continue
        length = state[f"{stem}.dora_scale"]
        result |= {
            f"{component}.{layer}.lora_A.weight": state[f"{stem}.lora_down.weight"],
            f"{component}.{layer}.lora_B.weight": state[f"{stem}.lora_up.weight"].double()
            * (state[f"{stem}.alpha"].item() / 2),
            f"{component}.{layer}.lora_magnitude_vector": (
                length[None, :, None, None] if module.weight.dim() == 4 else length
            ),
        }
    return dict(sorted(result.items()))


FILES = {
    "peft": peft_file,
    "peft_dora": lambda pipe, name: peft_file(pipe, name, dora=True),
    "diffusers": diffusers_file,
    "processors": processors_file,
    "kohya": kohya_file,
    "kohya_dora": lambda pipe, name: kohya_file(pipe, name, dora=True),
}
# The files and weights of each case.
CASES = {
    "lora_peft": {"peft": 1.0},
    "lora_peft_dora": {"peft_dora": 0.8},
    "lora_diffusers": {"diffusers": 0.7},
    "lora_processors": {"processors": 1.0},
    "lora_kohya": {"kohya": 1.3},
    "lora_kohya_dora": {"kohya_dora": 1.0},
    "lora_two": {"kohya": 0.5, "peft": -0.4},
}


def results(pipe, tokenizer, inputs):
    ids = tokenizer(PROMPT, padding="max_length", truncation=True, return_tensors="pt").input_ids
    hidden = pipe.text_encoder(ids)[0]
    sample, text = (value.double() for value in inputs)
    timestep, level = torch.tensor([601]), torch.tensor([20])
    output = pipe.unet(sample, timestep, text, class_labels=level).sample
    return hidden[:, :8], output


def make(record):
    tokenizer = load_tokenizer(record)
    folder = f"{record.folder}/lora"
    os.makedirs(folder, exist_ok=True)
    pipe = load(record)
    given = f"{record.given}/lora" if record.given else folder
    if not record.given:
        for name, make_file in FILES.items():
            state = {key: value.half().contiguous() for key, value in make_file(pipe, name).items()}
            save_file(state, f"{folder}/{name}.safetensors")
    with record.tensors("lora") as tensors:
        inputs = (
            tensors.given_randn("sample", 1, 7, 8, 8),
            tensors.given_randn("text", 1, 77, 12),
        )
        tensors["none.hidden"], tensors["none.output"] = results(pipe, tokenizer, inputs)
        for case, files in CASES.items():
            for name in files:
                pipe.load_lora_weights(loadable(pipe, given, name), adapter_name=name)
            pipe.set_adapters(list(files), list(files.values()))
            pipe.unet.double()
            pipe.text_encoder.double()
            tensors[f"{case}.hidden"], tensors[f"{case}.output"] = results(pipe, tokenizer, inputs)
            pipe.unload_lora_weights()
            lora = [
                {"file": f"lora/{name}.safetensors", "weight": weight}
                for name, weight in files.items()
            ]
            record.add(
                case, "lora", tensors.path, prompt=PROMPT, timestep=601, noise_level=20, lora=lora
            )
        # What was unloaded is gone.
        hidden, output = results(pipe, tokenizer, inputs)
        assert (hidden.float() == tensors._values["none.hidden"]).all()
        assert (output.float() == tensors._values["none.output"]).all()
