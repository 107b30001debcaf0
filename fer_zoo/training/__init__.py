"""Training: recipes, the loop, checkpoints. Recipes alone are read without torch."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fer_zoo.training.config import TrainConfig
    from fer_zoo.training.loop import Trainer, TrainResult
    from fer_zoo.training.recipes import list_recipes, load_config, recipe_of
    from fer_zoo.training.run import train
    from fer_zoo.training.sweep import Sweep

_MODULES = {
    "Sweep": "sweep",
    "TrainConfig": "config",
    "TrainResult": "loop",
    "Trainer": "loop",
    "list_recipes": "recipes",
    "load_config": "recipes",
    "recipe_of": "recipes",
    "train": "run",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'fer_zoo.training' has no attribute {name!r}")
    return getattr(importlib.import_module(f"fer_zoo.training.{_MODULES[name]}"), name)


__all__ = [
    "Sweep",
    "TrainConfig",
    "TrainResult",
    "Trainer",
    "list_recipes",
    "load_config",
    "recipe_of",
    "train",
]
