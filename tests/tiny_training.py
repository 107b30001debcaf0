"""Runs of training that take a second: synthetic faces, models of a few channels."""

import json
from contextlib import contextmanager

import pytest
import torch

import fer_zoo
from fer_zoo.data import FaceDataset
from fer_zoo.labels import FER2013_LABELS
from fer_zoo.preprocessing import Preprocessing
from fer_zoo.training import train
from fer_zoo.training.distributed import World
from fer_zoo.training.step import TrainingStep

CPU = World(0, 1, torch.device("cpu"))
HALF = Preprocessing((48, 48), (0.5,), (0.25,))
#: Arguments that make a model tiny.
TINY = {
    "alexnet": {"hidden": [16, 16]},
    "dacl": {"channels": [8, 8, 8, 8]},
    "resnet18": {"channels": [8, 8, 8, 8]},
    "transfer": {"stem_channels": [8, 8, 8, 8], "embed_dim": 16, "depth": 1, "num_heads": 2},
    "vgg": {"channels": [8, 8, 8, 8], "hidden": [16]},
    "vgg_small": {"channels": [8, 8, 8, 8], "hidden": [16]},
}
FAST = {
    "batch_size": 16,
    "epochs": 2,
    "warmup_epochs": 0,
    "img_sizes": [[0, 32]],
    "precision": "float32",
    "lr": 0.01,
}
#: What recipes mix into labels, and which weights they keep.
PLAIN = {"mixup": 0.0, "keep": "best"}
STILL = dict.fromkeys(("flip", "erase", "rotation", "shift", "scale"), 0.0)


def faces(n=48, seed=0):
    """Synthetic faces whose class shows: each class has a bright bar at its own height."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(n) % 7
    images = torch.randint(0, 80, (n, 48, 48), dtype=torch.uint8, generator=generator)
    for image, target in zip(images, targets.tolist(), strict=True):
        image[6 * target : 6 * target + 6] = 220
    votes = torch.zeros(n, 10, dtype=torch.uint8)
    votes[torch.arange(n), targets] = 9
    votes[::5] = 0
    return FaceDataset(images=images, targets=targets, label_names=FER2013_LABELS, votes=votes)


def run(folder, model="resnet18", n=48, data=None, **settings):
    """Trains a tiny model for two epochs of three steps; settings are laid over the recipe."""
    data = data or (faces(n), faces(14, seed=1))
    args = {"model_args": TINY[model]} if model else {}
    return train(model, data, folder, **{**FAST, **PLAIN, **args, **settings})


def ferplus(target, **settings):
    """Settings of training on votes alone; recipes for FER-2013 have a head on them beside."""
    return {"labels": "ferplus", "ferplus_target": target, "ferplus_weight": 0.0, **settings}


class Killed(Exception):
    """Stands for the end of the process."""


@contextmanager
def killed_at(update):
    """Ends training before an optimizer step, counted from the beginning of training."""
    step = TrainingStep.__call__

    def dying(self, batch, number):
        if number == update:
            raise Killed
        return step(self, batch, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingStep, "__call__", dying)
        with pytest.raises(Killed):
            yield


def weights(folder):
    return fer_zoo.create_model(folder, pretrained=True).state_dict()


def checkpoint(folder):
    return torch.load(folder / "last.pt", weights_only=True)


def config_of(folder):
    return json.loads((folder / "config.json").read_text())


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def records(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def log_of(folder):
    """The log without what differs from run to run."""
    timed = ("seconds", "images_per_second")
    return [{k: v for k, v in r.items() if k not in timed} for r in records(folder)]
