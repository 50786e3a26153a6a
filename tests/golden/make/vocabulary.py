"""CLIP's vocabulary: taken once from open_clip's package, and laid out as transformers wants it."""

import gzip
import json
import os
import shutil
import sys

N_MERGES = 49152 - 256 - 2
SHIPPED = os.path.normpath(
    os.path.join(os.path.dirname(__file__), "..", "..", "..", "models", "clip-tokenizer")
)


def byte_characters():
    """What stands for the 256 bytes, in the order of their ids: printable Latin-1 as itself first."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(byte) for byte in printable] + [chr(256 + i) for i in range(256 - len(printable))]


def vocabulary(merges):
    """Token -> id; CLIP numbers bytes, bytes that end a word, merges, and two special tokens."""
    characters = byte_characters()
    tokens = characters + [character + "</w>" for character in characters]
    tokens += [merge.replace(" ", "") for merge in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return {token: i for i, token in enumerate(tokens)}


def read_merges(path):
    with open(path, encoding="utf-8") as file:
        return file.read().split("\n")[1 : N_MERGES + 1]


def lay_out(tokenizer, target, special_tokens_map=True):
    """A folder that transformers reads: the snapshot's tokenizer folder with a vocab.json."""
    names = ["merges.txt", "tokenizer_config.json"]
    names += ["special_tokens_map.json"] * special_tokens_map
    for name in names:
        shutil.copy(os.path.join(tokenizer, name), target)
    given = os.path.join(tokenizer, "vocab.json")
    if os.path.exists(given):
        shutil.copy(given, target)
        return target
    with open(os.path.join(target, "vocab.json"), "w", encoding="utf-8") as file:
        json.dump(vocabulary(read_merges(os.path.join(tokenizer, "merges.txt"))), file)
    return target


def main(archive):
    """vocabulary.py BPE_SIMPLE_VOCAB.TXT.GZ: writes what ships from what open_clip_torch brings."""
    with gzip.open(archive, "rt", encoding="utf-8") as file:
        merges = file.read().split("\n")[1 : N_MERGES + 1]
    os.makedirs(SHIPPED, exist_ok=True)
    with open(os.path.join(SHIPPED, "merges.txt"), "w", encoding="utf-8") as file:
        file.write("\n".join(["#version: 0.2", *merges, ""]))


if __name__ == "__main__":
    main(sys.argv[1])
