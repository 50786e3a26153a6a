#!/usr/bin/env python3
"""Makes the references in ../data from the real libraries.

make.py [FOLDER]                 all of them, into ../data or FOLDER
make.py --check                  makes them twice, elsewhere, and compares with ../data
make.py --given OLD FOLDER       with the models and inputs of OLD (see compare.py)
"""

import argparse
import filecmp
import os
import platform
import shutil
import sys
import tempfile

# Before torch is imported: one thread, and the same instructions on every processor.
os.environ.update(
    OMP_NUM_THREADS="1",
    ATEN_CPU_CAPABILITY=os.environ.get("ATEN_CPU_CAPABILITY", "avx2"),
    MKL_CBWR=os.environ.get("MKL_CBWR", "COMPATIBLE"),
    ONEDNN_MAX_CPU_ISA=os.environ.get("ONEDNN_MAX_CPU_ISA", "AVX2"),
    HF_HUB_OFFLINE="1",
)

import diffusers  # noqa: E402
import numpy  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402

import inversions  # noqa: E402
import lora  # noqa: E402
import miniature  # noqa: E402
import networks  # noqa: E402
import pipeline  # noqa: E402
import safety  # noqa: E402
import schedulers  # noqa: E402
import single_file  # noqa: E402
import text  # noqa: E402
from compare import compare  # noqa: E402
from record import Record  # noqa: E402

DATA = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data"))


for library in [diffusers, transformers]:
    library.utils.logging.set_verbosity_error()
    library.utils.logging.disable_progress_bar()


@torch.no_grad()
def make(folder, given=None):
    record = Record(folder, given)
    if not given:
        miniature.save_all(folder)
    for part in [text, networks, schedulers, pipeline, safety, single_file, lora, inversions]:
        part.make(record)
    libraries = [diffusers, transformers, torch, numpy]
    versions = [f"{library.__name__} {library.__version__}" for library in libraries]
    record.write_index(", ".join([f"Python {platform.python_version()}", *versions]))


def files(folder):
    return sorted(
        os.path.relpath(os.path.join(root, name), folder)
        for root, _, names in os.walk(folder)
        for name in names
    )


def different_files(one, other):
    names = sorted({*files(one), *files(other)})
    return filecmp.cmpfiles(one, other, names, shallow=False)[1:]


def check():
    """0 where two runs give the same bytes, and both are within 1e-6 of what is committed."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        make(one)
        make(other)
        twice = different_files(one, other)
        committed = different_files(DATA, one)
        worst = compare(DATA, one)
    print("files that differ between two runs:", twice)
    print("files that differ from ../data:", committed)
    print("largest difference:", worst)
    return 0 if not any(twice) and worst <= 1e-6 else 1


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", nargs="?", default=DATA)
    parser.add_argument("--given", metavar="OLD")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.check:
        return check()
    shutil.rmtree(arguments.folder, ignore_errors=True)
    make(arguments.folder, arguments.given)
    return 0


if __name__ == "__main__":
    sys.exit(main())
