"""A PyTorch model zoo for facial-expression recognition on small grayscale faces.

Everything here is imported when it is first used: ``import fer_zoo`` itself costs milliseconds.
"""

import importlib
from typing import TYPE_CHECKING

from fer_zoo._timm_hook import register_with_timm

if TYPE_CHECKING:
    from fer_zoo.data import FER2013, FaceFolder, FERPlus, create_transform
    from fer_zoo.evaluation import evaluate
    from fer_zoo.explanation import explain
    from fer_zoo.exporting import export
    from fer_zoo.hub import from_pretrained, push_to_hub, save_pretrained
    from fer_zoo.inference import Prediction, Predictor
    from fer_zoo.models import Ensemble, create_model, is_model, list_models, model_entrypoint
    from fer_zoo.preprocessing import Preprocessing
    from fer_zoo.training import train
    from fer_zoo.video import VideoPredictor

__version__ = "0.1.0"

#: Public names and the modules that they come from.
_LAZY = {
    "Ensemble": "models",
    "FER2013": "data",
    "FERPlus": "data",
    "FaceFolder": "data",
    "Prediction": "inference",
    "Predictor": "inference",
    "Preprocessing": "preprocessing",
    "VideoPredictor": "video",
    "create_model": "models",
    "create_transform": "data",
    "evaluate": "evaluation",
    "explain": "explanation",
    "export": "exporting",
    "from_pretrained": "hub",
    "is_model": "models",
    "list_models": "models",
    "model_entrypoint": "models",
    "push_to_hub": "hub",
    "save_pretrained": "hub",
    "train": "training",
}
_SUBMODULES = {
    *("audit", "benchmark", "data", "errors", "evaluation", "exporting", "hub", "inference"),
    *("labels", "layers", "losses", "model_info", "models", "preprocessing", "provenance"),
    *("explanation", "figures", "runtime", "training", "video"),
}


def __getattr__(name: str) -> object:
    if name in _SUBMODULES:
        return importlib.import_module(f"fer_zoo.{name}")
    if name not in _LAZY:
        raise AttributeError(f"module 'fer_zoo' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"fer_zoo.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_SUBMODULES})


__all__ = [
    "FER2013",
    "Ensemble",
    "FERPlus",
    "FaceFolder",
    "Prediction",
    "Predictor",
    "Preprocessing",
    "VideoPredictor",
    "create_model",
    "create_transform",
    "evaluate",
    "explain",
    "export",
    "from_pretrained",
    "is_model",
    "list_models",
    "model_entrypoint",
    "push_to_hub",
    "save_pretrained",
    "train",
]

register_with_timm()
