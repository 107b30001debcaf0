"""A model small enough to be made in every test, and smooth pictures."""

import hashlib

import numpy as np
import torch
from PIL import Image

import fer_zoo

TINY = {"channels": (8, 8, 8, 8), "embed_dim": 16, "depth": 1, "num_heads": 2}


def tiny(**kwargs):
    return fer_zoo.create_model("cnn_transformer", **TINY, **kwargs)


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def file_sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def smooth_faces(n, seed=0):
    """Random gray pictures of 48 pixels, without sharp edges."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (n, 6, 6), dtype=np.uint8)
    return [np.array(Image.fromarray(c).resize((48, 48), Image.Resampling.BICUBIC)) for c in coarse]
