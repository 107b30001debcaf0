"""A model small enough to be made in every test."""

import hashlib

import torch

import fer_zoo

TINY = {"channels": (8, 8, 8, 8), "embed_dim": 16, "depth": 1, "num_heads": 2}


def tiny(**kwargs):
    return fer_zoo.create_model("cnn_transformer", **TINY, **kwargs)


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def file_sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
