"""A PyTorch model zoo for facial-expression recognition on small grayscale faces."""

import importlib
from typing import TYPE_CHECKING, Any

from fer_zoo.models import Ensemble, create_model, is_model, list_models, model_entrypoint

if TYPE_CHECKING:
    from fer_zoo.data import FER2013, FaceFolder, FERPlus, create_transform
    from fer_zoo.evaluation import evaluate
    from fer_zoo.predictor import Prediction, Predictor
    from fer_zoo.publishing import from_pretrained, push_to_hub, save_pretrained
    from fer_zoo.training import train

__version__ = "0.1.0"

# imported when first used: models alone need neither scikit-learn nor matplotlib
_LAZY = {
    "FER2013": "data",
    "FERPlus": "data",
    "FaceFolder": "data",
    "Prediction": "predictor",
    "Predictor": "predictor",
    "create_transform": "data",
    "evaluate": "evaluation",
    "from_pretrained": "publishing",
    "push_to_hub": "publishing",
    "save_pretrained": "publishing",
    "train": "training",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'fer_zoo' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"fer_zoo.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


__all__ = [
    "FER2013",
    "Ensemble",
    "FERPlus",
    "FaceFolder",
    "Prediction",
    "Predictor",
    "create_model",
    "create_transform",
    "evaluate",
    "from_pretrained",
    "is_model",
    "list_models",
    "model_entrypoint",
    "push_to_hub",
    "save_pretrained",
    "train",
]
