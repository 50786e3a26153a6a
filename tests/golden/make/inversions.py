"""Textual inversions for the miniature in every layout that is known, and added tokens in a snapshot."""

import os
import tempfile

import torch
from safetensors.torch import save_file
from transformers import CLIPTokenizer

from miniature import TEXT_ENCODER
from pipeline import load
from record import randn, write_json
from vocabulary import lay_out

PROMPTS = [
    "a <dot> cat",
    "<stripe>",
    "wool-art of a<dot>dog, plaid plaids <stripe>_2",
    "A <DOT> in Wool-Art",
    "a cat " * 35 + "<stripe> <stripe>",
]
ADDED_TOKENS = {"<leaf>": 49408, "<leaf>_1": 49409, "oak tree": 49410, "cat": 2368}
ADDED_PROMPTS = [
    "a <leaf> of an oak tree",
    "<leaf>_1<leaf>",
    "an oaktree, Oak tree <LEAF>",
    "cats and a cat",
]


def vectors(token, *shape):
    return 0.7 * randn(f"inversion {token}", *shape, TEXT_ENCODER["hidden_size"])


def write_files(folder):
    os.makedirs(folder)
    save_file({"<dot>": vectors("<dot>").half()}, f"{folder}/learned_embeds.safetensors")
    torch.save({"<stripe>": vectors("<stripe>", 3)}, f"{folder}/stripe.bin")
    wool = {
        "string_to_token": {"*": 265},
        "string_to_param": {"*": torch.nn.Parameter(vectors("wool-art", 2))},
        "name": "wool-art",
        "step": 1500,
        "sd_checkpoint": None,
        "sd_checkpoint_name": None,
    }
    torch.save(wool, f"{folder}/wool.pt")
    save_file({"emb_params": vectors("plaid", 2)}, f"{folder}/plaid.safetensors")


def make_inversions(record):
    folder = f"{record.given or record.folder}/inversions"
    if not record.given:
        write_files(folder)
    pipe = load(record)
    for name in ["learned_embeds.safetensors", "stripe.bin", "wool.pt"]:
        pipe.load_textual_inversion(folder, weight_name=name)
    # The token of such a file is its name, which diffusers has to be told.
    pipe.load_textual_inversion(folder, weight_name="plaid.safetensors", token="plaid")
    cases = []
    with record.tensors("inversions") as tensors:
        for i, prompt in enumerate(PROMPTS):
            converted = pipe.maybe_convert_prompt(prompt, pipe.tokenizer)
            ids = pipe.tokenizer(
                converted, padding="max_length", truncation=True, return_tensors="pt"
            ).input_ids
            tensors[f"{i}.hidden"] = pipe.text_encoder(ids)[0][:, :16]
            cases.append({"text": prompt, "ids": ids[0].tolist()})
        record.add("inversions", "inversions", tensors.path, prompts=cases)


def make_added_tokens(record):
    with tempfile.TemporaryDirectory() as folder:
        lay_out(record.model("tiny-upscaler/tokenizer"), folder, True)
        write_json(f"{folder}/added_tokens.json", ADDED_TOKENS)
        tokenizer = CLIPTokenizer.from_pretrained(folder)
        cases = [{"text": text, "ids": tokenizer(text).input_ids} for text in ADDED_PROMPTS]
    file = "added_tokens.json"
    write_json(os.path.join(record.folder, file), {"added_tokens": ADDED_TOKENS, "cases": cases})
    record.add("added_tokens", "added_tokens", file)


def make(record):
    make_inversions(record)
    make_added_tokens(record)
