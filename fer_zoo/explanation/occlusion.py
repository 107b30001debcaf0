"""Occlusion (Zeiler & Fergus 2014, arXiv:1311.2901), by captum."""

from typing import Any

import torch
from torch import Tensor

from fer_zoo.explanation.heat import missing, scaled
from fer_zoo.models import FaceModel

#: Side of the gray square and its steps, as shares of the face: 12 and 4 of 48 pixels.
WINDOW, STEP = 1 / 4, 1 / 12
_FACES = 128  # of a forward pass


@torch.no_grad()
def occlusion(model: FaceModel, x: Tensor, targets: list[int]) -> Tensor:
    """Moves a mean-gray square over the face, and measures what it costs the class.

    Args:
        model: The model, in eval mode.
        x: Faces (N, C, H, W).
        targets: The class of each.

    Returns:
        (N, H, W) in 0..1: how much the logarithm of the class's probability falls, a mean over the
        squares on a pixel; zeros where it falls nowhere.

    Raises:
        MissingDependencyError: If captum is not installed.
    """
    try:
        from captum.attr import Occlusion
    except ImportError as error:
        raise missing("occlusion", error) from error

    def log_probabilities(faces: Tensor) -> Tensor:
        calibrated: Tensor = model(faces).float() / model.temperature
        return calibrated.log_softmax(dim=1)

    n, channels, height, width = x.shape
    window = [max(1, round(WINDOW * side)) for side in (height, width)]
    steps = [max(1, round(STEP * side)) for side in (height, width)]
    method: Any = Occlusion(log_probabilities)
    falls: Tensor = method.attribute(
        x,
        target=targets,
        sliding_window_shapes=(channels, *window),
        strides=(channels, *steps),
        baselines=0,  # the mean gray level of the training faces
        perturbations_per_eval=max(1, _FACES // n),
    )
    return scaled(falls.mean(dim=1), (height, width), least=0.0)
