"""Writes small faces of anyone in the layouts that data sets have."""

import zlib

import numpy as np
from PIL import Image


def face(name, side=48):
    """A face of noise that only its name decides, so that no two are alike."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return Image.fromarray(rng.integers(0, 256, (side, side), dtype=np.uint8))


def write_faces(root, names, side=48):
    """Writes an image under each name."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        face(name, side).save(path)
    return root


def write_text(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path
