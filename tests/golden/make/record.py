"""Where inputs come from and where results go."""

import json
import os
import zlib

import numpy
import torch
from PIL import Image
from safetensors.torch import load_file, save_file


def generator(name):
    """A generator whose seed is its purpose, so that no draw depends on the order of others.

    NumPy's, since torch's normal numbers have other last bits on processors without AVX2.
    """
    return numpy.random.default_rng(zlib.crc32(name.encode()))


def randn(name, *shape):
    return torch.from_numpy(generator(name).standard_normal(shape)).float()


def write_json(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        json.dump(value, file, indent=1)
        file.write("\n")


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


class Record:
    """The folder that is being made.

    With `given`, an older folder of the same layout, models and inputs are taken from there instead
    of from seeds: what the libraries now make of them can then be compared with what is recorded.
    """

    def __init__(self, folder, given=None):
        self.folder = folder
        self.given = given
        self.models = given or folder
        self.cases = []
        self._given_cases = {}
        if given:
            index = read_json(os.path.join(given, "cases.json"))
            self._given_cases = {case["id"]: case for case in index["cases"]}

    def given_case(self, name):
        return self._given_cases.get(name)

    def model(self, relative):
        return os.path.join(self.models, relative)

    def add(self, name, kind, file, **parameters):
        self.cases.append({"id": name, "kind": kind, "file": file, **parameters})

    def tensors(self, name):
        return TensorFile(self, name)

    def picture(self, name, make):
        """A PNG among the inputs: returns its relative path and the picture."""
        path = f"images/{name}.png"
        if self.given:
            picture = Image.open(os.path.join(self.given, path)).convert("RGB")
        else:
            picture = make()
        self.save_picture(path, picture)
        return path, picture

    def save_picture(self, path, picture):
        os.makedirs(os.path.join(self.folder, "images"), exist_ok=True)
        picture.save(os.path.join(self.folder, path), optimize=True)

    def write_index(self, versions):
        write_json(
            os.path.join(self.folder, "cases.json"),
            {"generator": versions, "model": "tiny-upscaler", "cases": self.cases},
        )


class TensorFile:
    """One file of tensors, by name; written at the end of a `with`."""

    def __init__(self, record, name):
        self.path = f"tensors/{name}.safetensors"
        self._target = os.path.join(record.folder, self.path)
        self._name = name
        self._values = {}
        self._given = load_file(os.path.join(record.given, self.path)) if record.given else None

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            os.makedirs(os.path.dirname(self._target), exist_ok=True)
            save_file(self._values, self._target)

    def given(self, name, make):
        """An input: from the older record, or what `make` returns."""
        self[name] = self._given[name] if self._given else make()
        return self._values[name]

    def given_randn(self, name, *shape, scale=1.0):
        return self.given(name, lambda: scale * randn(f"{self._name} {name}", *shape))

    def __setitem__(self, name, value):
        value = value.detach()
        # The networks compute in double; what is compared is float32.
        value = value.float() if value.dtype == torch.float64 else value
        self.keep(name, value)

    def keep(self, name, value):
        """Without the rounding to float32."""
        self._values[name] = value.contiguous().clone()
