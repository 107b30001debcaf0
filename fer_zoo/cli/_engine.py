"""What computes predictions: onnxruntime where there is an exported file, else torch."""

import importlib.util
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fer_zoo.inference.base_predictor import BasePredictor

_logger = logging.getLogger(__name__)


def open_predictor(model: str, device: str | None, **options: Any) -> "BasePredictor[Any]":
    """Opens a model with whatever starts fastest; both give the same probabilities.

    An ``.onnx`` file goes to onnxruntime, and so does a model that ``fer-zoo export`` wrote to its
    usual place, unless its weights have changed since, or a device is asked for.

    Args:
        model: A name, a folder, several of these with commas between, or an ``.onnx`` file.
        device: Where to compute.
        **options: Further arguments of both predictors.
    """
    from fer_zoo import runtime

    if runtime.is_export(model):
        return runtime.Predictor(model, device=device, **options)
    exported = runtime.export_path(model)
    if device is None and exported.is_file() and importlib.util.find_spec("onnxruntime"):
        predictor = runtime.Predictor(exported, **options)
        if runtime.is_current(predictor.record, model):
            return predictor
        _logger.warning(
            "%s is of another state of its model and is left out; fer-zoo export %s renews it",
            exported,
            model,
        )
    from fer_zoo.inference.predictor import Predictor

    return Predictor(model, device=device, **options)
