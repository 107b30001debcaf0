"""Throws mutated files at everything that reads a user's files.

    python tests/faults/fuzz.py --examples 100000

Each target starts from valid files of many kinds, damages them (bytes flipped, cut out, doubled,
spliced; words replaced by odd ones) and reads them. A file is read or refused with an error of
fer_zoo; anything else, warnings included, is a failure, which hypothesis reduces.
"""

import argparse
import copy
import hashlib
import io
import json
import logging
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save

import fer_zoo
from fer_zoo.data import FER2013, FaceFolder, LeakWarning, image_files
from fer_zoo.data.fer2013.csv_reader import read_csv
from fer_zoo.errors import FerZooError
from fer_zoo.hub import save_pretrained
from fer_zoo.images import read_image
from fer_zoo.inference.predictor import Predictor
from fer_zoo.training import load_config
from fer_zoo.training.checkpoint import load_checkpoint

TINY = {"channels": (8, 8, 8, 8), "embed_dim": 16, "depth": 1, "num_heads": 2}
ODD_BYTES = [b"", b"\0", b"\n", b"\r", b",", b'"', b" ", b"-1", b"256", b"999999999999", b"nan"]
ODD_WORDS = [
    None, True, False, -1, 0, 1, 2, 7, 300, 2**63, 10**400, 0.0, -0.5, 1.5, 1e308, float("nan"),
    float("inf"), "", "x", "../x", "/etc/passwd", "fer_dacl", "resnet18", "hf-hub:a/b", "\0",
    "\ud800", [], [0], [0, 0], [1, 48, 48], [None], ["a"] * 7, [[0, 32]], [[]], {}, {"a": 1},
]  # fmt: skip


@cache
def seeds_of_images():
    """Every format that Pillow writes, in several modes."""
    rng = np.random.default_rng(0)
    gray = Image.fromarray(rng.integers(0, 256, (20, 16), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    files = []
    for name in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "PCX", "ICO", "SGI"):
        for mode in ("L", "RGB", "P", "RGBA", "I;16", "1", "CMYK"):
            image = gray.convert("I").convert("I;16") if mode == "I;16" else gray.convert(mode)
            buffer = io.BytesIO()
            try:
                image.save(buffer, name, exif=exif)
            except (OSError, ValueError):  # a format that has no such mode
                continue
            files.append(buffer.getvalue())
    return files


@cache
def seeds_of_csv():
    rng = np.random.default_rng(0)
    rows = [
        f"{i % 7},{' '.join(map(str, rng.integers(0, 256, 2304)))},{usage}"
        for i, usage in enumerate(["Training", "PublicTest", "PrivateTest"])
    ]
    swapped = [",".join(np.array(row.split(","))[[0, 2, 1]]) for row in rows]
    quoted = [f'{row.split(",")[0]},"{row.split(",")[1]}"' for row in rows]
    return [
        "\n".join(["emotion,pixels,Usage", *rows, ""]).encode(),
        "\r\n".join(["\ufeffemotion, Usage, pixels", *swapped]).encode(),
        "\n".join(["emotion,pixels", *quoted]).encode(),
    ]


def seeds_of_zips():
    folders, table = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(folders, "w", zipfile.ZIP_DEFLATED) as archive:
        for i, part in enumerate(("train", "val")):
            face = io.BytesIO()
            Image.new("L", (48, 48), 40 * i).save(face, "PNG")
            archive.writestr(f"{part}/happy/{part}_{i}.png", face.getvalue())
    with zipfile.ZipFile(table, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("fer2013.csv", seeds_of_csv()[0])
    return [folders.getvalue(), table.getvalue()]


def seeds_of_npz():
    buffer = io.BytesIO()
    usage = np.array(["Training", "PublicTest"])
    np.savez(buffer, pixels=np.zeros((2, 48, 48), np.uint8), emotion=np.arange(2), usage=usage)
    return [buffer.getvalue()]


@st.composite
def damaged(draw, seeds):
    """A valid file after one to six changes."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3, 6]))):
        at = draw(st.integers(0, len(data)))
        if draw(st.booleans()):
            at = min(at, draw(st.integers(0, 64)))  # headers decide most
        how = draw(st.sampled_from(["flip", "byte", "cut", "delete", "double", "odd", "splice"]))
        length = draw(st.sampled_from([1, 2, 4, 30, 300, 5000]))
        if how == "flip" and at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif how == "byte":
            data[at : at + 1] = draw(st.binary(min_size=1, max_size=4))
        elif how == "cut":
            del data[at:]
        elif how == "delete":
            del data[at : at + length]
        elif how == "double":
            data[at:at] = data[at : at + length]
        elif how == "odd":
            data[at : at + draw(st.sampled_from([0, 1, 3]))] = draw(st.sampled_from(ODD_BYTES))
        else:
            other = draw(st.sampled_from(seeds))
            data[at:] = other[draw(st.integers(0, len(other))) :]
    return bytes(data)


def places(tree, path=()):
    """The paths of all values in nested dicts and lists."""
    found = [path] if path else []
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in pairs:
        found += places(value, (*path, key)) if isinstance(value, (dict, list)) else [(*path, key)]
    return found


@st.composite
def rewritten(draw, tree):
    """JSON in which one to four values are replaced, removed, renamed or added."""
    tree = json.loads(json.dumps(tree))
    for _ in range(draw(st.integers(1, 4))):
        *above, last = draw(st.sampled_from(places(tree)))
        inner = tree
        for key in above:
            inner = inner[key]
        how = draw(st.sampled_from(["replace", "replace", "replace", "remove", "rename"]))
        if how == "replace":
            inner[last] = copy.deepcopy(draw(st.sampled_from(ODD_WORDS)))
        elif isinstance(inner, dict):
            value = inner.pop(last)
            if how == "rename":
                inner[draw(st.sampled_from(["x", "file", "url", "hf_hub_id", "source"]))] = value
        if not places(tree):
            break
    return json.dumps(tree)


def read_image_file(scratch, data):
    path = scratch / "a.png"
    path.write_bytes(data)
    image = read_image(path)
    assert image.mode in ("L", "RGB") and image.width and image.height


def read_class_folder_image(scratch, data):
    (scratch / "faces" / "happy").mkdir(parents=True, exist_ok=True)
    (scratch / "faces" / "happy" / "a.png").write_bytes(data)
    faces = FaceFolder(scratch / "faces", label_names=("happy", "sad"))
    assert faces.images.shape == (1, 48, 48)


def read_table(scratch, data):
    table = read_csv(io.BytesIO(data), "a.csv")
    assert table.pixels.shape == (len(table), 48, 48)
    assert set(table.emotion.tolist()) <= set(range(7)) and set(table.usage.tolist()) <= {0, 1, 2}


def read_archive(scratch, data):
    (scratch / "a.zip").write_bytes(data)
    assert FER2013(scratch / "a.zip", "val").images.shape[1:] == (48, 48)


def read_arrays(scratch, data):
    (scratch / "a.npz").write_bytes(data)
    assert FER2013(scratch / "a.npz", "val").images.shape[1:] == (48, 48)


def read_model_config(scratch, text):
    (scratch / "run" / "config.json").write_text(text)
    predictor = Predictor(scratch / "run", device="cpu")
    face = predictor(Image.new("L", (48, 48), 90))
    assert all(0 <= p <= 1 for p in face.probabilities.values())
    assert all(isinstance(name, str) for name in face.probabilities)


def read_model_weights(scratch, data):
    path = scratch / "run" / "model.safetensors"
    path.write_bytes(data)
    config = {**model_config(), "weights_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    (scratch / "run" / "config.json").write_text(json.dumps(config))
    fer_zoo.create_model(scratch / "run", pretrained=True)


def read_checkpoint(scratch, data):
    (scratch / "last.pt").write_bytes(data)
    assert load_checkpoint(scratch)["epoch"] == 3


def read_recipe(scratch, data):
    (scratch / "a.toml").write_bytes(data)
    assert load_config(scratch / "a.toml").augment is not None


@cache
def tiny_model():
    return fer_zoo.create_model("cnn_transformer", **TINY)


@cache
def model_config():
    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(tiny_model(), folder)
        return json.loads((Path(folder) / "config.json").read_text())


def checkpoint():
    buffer = io.BytesIO()
    state = {"objective": {"w": torch.zeros(9)}, "optimizer": {}, "config": {}, "epoch": 3}
    torch.save(state, buffer)
    return [buffer.getvalue()]


def recipe():
    return [(Path(fer_zoo.__file__).parent / "recipes" / "dacl.toml").read_bytes()]


#: Per target: its share of the examples, the strategy, and what reads them.
TARGETS = {
    "image file": (0.3, lambda: damaged(seeds_of_images()), read_image_file),
    "image in a class folder": (0.1, lambda: damaged(seeds_of_images()), read_class_folder_image),
    "csv": (0.2, lambda: damaged(seeds_of_csv()), read_table),
    "zip": (0.05, lambda: damaged(seeds_of_zips()), read_archive),
    "npz": (0.05, lambda: damaged(seeds_of_npz()), read_arrays),
    "last.pt": (0.05, lambda: damaged(checkpoint()), read_checkpoint),
    "recipe": (0.1, lambda: damaged(recipe()), read_recipe),
    "config.json": (0.1, lambda: rewritten(model_config()), read_model_config),
    "model.safetensors": (
        0.05, lambda: damaged([save(tiny_model().state_dict())]), read_model_weights,
    ),
}  # fmt: skip


def fuzz(name, examples, scratch):
    """Runs one target; returns how many inputs ended how."""
    _, strategy, read = TARGETS[name]
    seen = Counter()
    save_pretrained(tiny_model(), scratch / "run")

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=examples < 1000,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy())
    def every_input(data):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", LeakWarning)
            try:
                read(scratch, data)
                seen["read"] += 1
            except FerZooError as error:
                seen[type(error).__name__] += 1

    every_input()
    return seen


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--examples", type=int, default=100_000, help="inputs in all (100,000)")
    parser.add_argument("--only", choices=TARGETS, nargs="+", default=list(TARGETS))
    args = parser.parse_args(argv)
    image_files.PAUSE = 0
    logging.disable()
    total = 0
    for name in args.only:
        with tempfile.TemporaryDirectory() as scratch:
            began = time.monotonic()
            seen = fuzz(name, round(TARGETS[name][0] * args.examples), Path(scratch))
            total += seen.total()
            counts = ", ".join(f"{how} {n:,}" for how, n in seen.most_common())
            print(f"{name}: {seen.total():,} inputs in {time.monotonic() - began:.0f} s: {counts}",
                  flush=True)  # fmt: skip
    print(f"{total:,} inputs in all, no failure")


if __name__ == "__main__":
    sys.exit(main())
