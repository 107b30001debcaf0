"""Names the expression of faces: any image in, label and probabilities out."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fer_zoo.inference.base_predictor import BasePredictor, Found
from fer_zoo.inference.detection import FaceDetector
from fer_zoo.inference.logits import load_model
from fer_zoo.inference.prediction import Prediction


class Predictor(BasePredictor[Found]):
    """Predicts expressions with the preprocessing and labels that belong to the weights.

    A face's result depends on no other face; batches only make it faster.

    Args:
        model: A name (``"dacl"``), a folder that training wrote, several of these with commas
            between (``"dacl,vgg"``) for an ensemble, or a model of fer_zoo, which is put into eval
            mode and moved to ``device``.
        device: Where to compute; by default where a model is, else CUDA where there is one.
        batch_size: Faces per forward pass.
        detect: Whether images are whole photographs whose faces must be found; or the
            :class:`fer_zoo.inference.detection.FaceDetector` that finds them.
        margin: What is added around a box, as a share of its side.

    Raises:
        ConfigError: If there is no such device, or the model has no labels.
        MissingDependencyError: If ``detect`` is True without the extra ``detect``.

    Example:
        >>> from fer_zoo import create_model
        >>> predictor = Predictor(create_model("alexnet"))  # or "dacl", with its weights
        >>> predictor(np.zeros((48, 48), np.uint8)).label in predictor.label_names
        True
    """

    @overload
    def __init__(
        self: Predictor[Prediction],
        model: str | Path | nn.Module = ...,
        *,
        device: str | torch.device | None = ...,
        batch_size: int = ...,
        detect: Literal[False] = ...,
        margin: float = ...,
    ) -> None: ...

    @overload
    def __init__(
        self: Predictor[list[Prediction]],
        model: str | Path | nn.Module = ...,
        *,
        device: str | torch.device | None = ...,
        batch_size: int = ...,
        detect: Literal[True] | FaceDetector,
        margin: float = ...,
    ) -> None: ...

    def __init__(
        self,
        model: str | Path | nn.Module = "dacl",
        *,
        device: str | torch.device | None = None,
        batch_size: int = 64,
        detect: bool | FaceDetector = False,
        margin: float = 0.0,
    ) -> None:
        loaded = load_model(model, device)
        super().__init__(
            loaded.label_names, loaded.preprocessing, batch_size=batch_size, detect=detect,
            margin=margin,
        )  # fmt: skip
        self.model, self.device = loaded.module.eval().to(loaded.device), loaded.device

    @torch.inference_mode()
    def _probabilities(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, H, W) -> (n, num_classes); the one place where logits become probabilities."""
        x = self.preprocessing.tensor(torch.from_numpy(faces).to(self.device))
        calibrated = self.model(x).float() / self.model.temperature
        probabilities: NDArray[np.float32] = calibrated.softmax(dim=1).cpu().numpy()
        return probabilities


__all__ = ["Prediction", "Predictor"]
