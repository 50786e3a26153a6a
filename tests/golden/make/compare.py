"""compare.py OLD NEW: how far two folders of references are apart, case by case.

A tensor's difference is relative to its largest absolute value. Names that only one of them has are
not compared; picture levels and values of JSON are.
"""

import os
import sys

import numpy
import torch
from PIL import Image
from safetensors.torch import load_file

from record import read_json


def tensor_difference(old, new):
    if old.shape != new.shape:
        return float("inf")
    old, new = old.double(), new.double()
    largest = old.abs().max().item() or 1.0
    difference = (old - new).abs().max().item() / largest
    return difference if difference == difference else float("inf")


def json_differences(old, new, path=""):
    """Paths of all values that both have and that are not equal; numbers within 1e-6 are."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [key for key in old if key in new]
        return [d for key in keys for d in json_differences(old[key], new[key], f"{path}/{key}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new))
        return [d for i, pair in pairs for d in json_differences(*pair, f"{path}/{i}")]
    if isinstance(old, float) and isinstance(new, float):
        return [] if old == new or abs(old - new) <= 1e-6 * max(1, abs(old)) else [path]
    return [] if old == new else [path]


def picture_difference(old, new):
    """(levels at most, how many values)"""
    old, new = (numpy.asarray(Image.open(path).convert("RGB")).astype(int) for path in (old, new))
    if old.shape != new.shape:
        return 255, old.size
    difference = abs(old - new)
    return int(difference.max()), int((difference > 0).sum())


def compare_case(old_folder, new_folder, old, new):
    """(largest difference, its tensor, number of tensors, remarks)"""
    paths = [os.path.join(old_folder, old["file"]), os.path.join(new_folder, new["file"])]
    remarks = json_differences(old, new)
    if old["file"].endswith(".json"):
        return 0.0, "", 0, remarks + json_differences(*map(read_json, paths))
    tensors = [load_file(path) for path in paths]
    names = [name for name in tensors[0] if name in tensors[1]]
    largest = max((tensor_difference(tensors[0][name], tensors[1][name]), name) for name in names)
    for png in old.get("output_png", []):
        levels, count = picture_difference(f"{old_folder}/{png}", f"{new_folder}/{png}")
        if count:
            remarks.append(f"{count} values of {png} by {levels} at most")
    return *largest, len(names), remarks


def compare(old_folder, new_folder):
    """Prints the table; returns the largest difference, infinite where values of JSON differ."""
    old, new = (
        {case["id"]: case for case in read_json(os.path.join(folder, "cases.json"))["cases"]}
        for folder in (old_folder, new_folder)
    )
    worst = 0.0 if list(old) == list(new) else float("inf")
    print(f"{len(old)} and {len(new)} cases")
    for name in [name for name in old if name in new]:
        largest, tensor, count, remarks = compare_case(old_folder, new_folder, old[name], new[name])
        print(f"{name:28} {count:4} tensors  {largest:8.1e}  {tensor}")
        for remark in remarks[:10]:
            print(f"    {remark}")
        if len(remarks) > 10:
            print(f"    ... {len(remarks)} in all")
        worst = max(worst, largest, float("inf") if remarks else 0.0)
    return worst


if __name__ == "__main__":
    with torch.no_grad():
        compare(*sys.argv[1:])
