"""Prompt to token ids to hidden states: transformers' CLIPTokenizer and CLIPTextModel."""

import os
import tempfile

import torch
from transformers import CLIPTextModel, CLIPTokenizer

from record import read_json, write_json
from vocabulary import lay_out

TEXTS = ["a photo of a cat", "", "! !! !!!", " ".join(str(i) for i in range(80))]


def load_tokenizer(record, special_tokens_map=True):
    with tempfile.TemporaryDirectory() as folder:
        lay_out(record.model("tiny-upscaler/tokenizer"), folder, special_tokens_map)
        return CLIPTokenizer.from_pretrained(folder)


def load_text_encoder(record):
    encoder = CLIPTextModel.from_pretrained(
        record.model("tiny-upscaler/text_encoder"), torch_dtype=torch.float64
    ).eval()
    # transformers makes the causal mask in the default type, where a double's minimum must fit in.
    encoder.register_forward_pre_hook(lambda *_: torch.set_default_dtype(torch.float64))
    encoder.register_forward_hook(lambda *_: torch.set_default_dtype(torch.float32))
    return encoder


def tokenizer_cases(record):
    bang = load_tokenizer(record)
    eos = load_tokenizer(record, special_tokens_map=False)
    prompts = read_json(os.path.join(os.path.dirname(__file__), "prompts.json"))
    cases = [
        {
            "text": text,
            "n_untruncated": len(bang(text).input_ids),
            "ids_pad_bang": bang(text, truncation=True).input_ids,
            "ids_pad_eos": eos(text, truncation=True).input_ids,
        }
        for text in prompts
    ]
    file = "tokenizer_cases.json"
    # ids are cut to 77 and not padded; the pads are those of the SD 2 and the SD 1 family.
    index = {"pad_id_bang": bang.pad_token_id, "pad_id_eos": eos.pad_token_id, "cases": cases}
    write_json(os.path.join(record.folder, file), index)
    record.add("tokenizer", "tokenizer", file, n=len(cases))


def text_encoder_case(record):
    tokenizer = load_tokenizer(record)
    encoder = load_text_encoder(record)
    with record.tensors("text_encoder") as tensors:
        tensors["input_ids"] = ids = tokenizer(
            TEXTS, padding="max_length", truncation=True, return_tensors="pt"
        ).input_ids
        result = encoder(ids, output_hidden_states=True)
        tensors["last_hidden_state"] = result.last_hidden_state
        tensors["pooler_output"] = result.pooler_output
        for i, state in enumerate(result.hidden_states):
            tensors[f"row0.hidden_states.{i}"] = state[:1]
        record.add("text_encoder", "text_encoder", tensors.path, texts=TEXTS)


def make(record):
    tokenizer_cases(record)
    text_encoder_case(record)
