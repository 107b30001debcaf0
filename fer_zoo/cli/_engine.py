"""What computes predictions: onnxruntime where there is an exported file, else torch."""

import contextlib
import importlib.util
import logging
import os
from typing import TYPE_CHECKING, Any

from fer_zoo.errors import ConfigError, WeightsError

if TYPE_CHECKING:
    from fer_zoo.inference.base_predictor import BasePredictor

_logger = logging.getLogger(__name__)


def open_predictor(model: str, device: str | None, **options: Any) -> "BasePredictor[Any]":
    """Opens a model with whatever starts fastest; both give the same probabilities.

    An ``.onnx`` file goes to onnxruntime, and so does a model that ``fer-zoo export`` wrote to its
    usual place, unless it has changed since, the file is damaged, or a device is asked for.

    Args:
        model: A name, a folder, several of these with commas between, or an ``.onnx`` file.
        device: Where to compute.
        **options: Further arguments of both predictors.
    """
    from fer_zoo import exported_files, runtime

    if exported_files.is_export(model):
        return runtime.Predictor(model, device=device, **options)
    exported = None
    with contextlib.suppress(ConfigError):  # without a home folder there are no exports
        exported = exported_files.export_path(model)
    found = exported is not None and device is None and os.path.isfile(exported)
    if found and importlib.util.find_spec("onnxruntime"):
        reason = "it is of another state of the model"
        try:
            predictor = runtime.Predictor(str(exported), **options)
            if exported_files.is_current(predictor.record, model):
                return predictor
        except WeightsError as error:
            reason = str(error)
        _logger.warning("%s is left out (%s); fer-zoo export %s renews it", exported, reason, model)
    from fer_zoo.inference.predictor import Predictor

    return Predictor(model, device=device, **options)
