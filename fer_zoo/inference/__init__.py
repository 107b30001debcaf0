"""Predictions on images; what needs no torch (images, detection, drawing) imports none."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fer_zoo.inference.prediction import Prediction
    from fer_zoo.inference.predictor import Predictor

__all__ = ["Prediction", "Predictor"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'fer_zoo.inference' has no attribute {name!r}")
    return getattr(importlib.import_module(f"fer_zoo.inference.{name.lower()}"), name)
