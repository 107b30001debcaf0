"""The transform of single images, for data loaders of one's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from fer_zoo.data.augment import BatchAugment
from fer_zoo.preprocessing import Preprocessing, preprocessing_of


@dataclass(frozen=True)
class FaceTransform:
    """From a PIL image of any mode and size to a model's input.

    Args:
        preprocessing: What the model wants its input to be.
        augment: What training does to a face; None for evaluation. It is that of
            :func:`fer_zoo.train`, and draws from torch's own generator.

    Shape:
        image -> float (in_chans, height, width)
    """

    preprocessing: Preprocessing
    augment: BatchAugment | None = None

    def __call__(self, image: Image.Image) -> Tensor:
        """Returns the input for one image."""
        if self.augment is None:
            return torch.from_numpy(self.preprocessing(image))
        face = torch.tensor(self.preprocessing.resize(image)).unsqueeze(0)
        return self.augment(face, self.augment.draw(1), self.preprocessing)[0]


def create_transform(
    model_or_cfg: nn.Module | Mapping[str, Any], is_training: bool = False
) -> FaceTransform:
    """Builds the transform from a PIL image of any mode to a model's input.

    Args:
        model_or_cfg: A model of fer_zoo or timm, or its ``pretrained_cfg``.
        is_training: Whether to augment: small rotations, shifts, changes of scale, brightness and
            contrast, a flip, and erasing.

    Returns:
        A callable that turns an image into a float tensor (in_chans, height, width).

    Raises:
        ConfigError: If the config lacks what is needed.

    Example:
        >>> cfg = {"input_size": (1, 48, 48), "mean": (0.5,), "std": (0.25,)}
        >>> create_transform(cfg)(Image.new("RGB", (640, 480))).shape
        torch.Size([1, 48, 48])
    """
    augment = BatchAugment() if is_training else None
    return FaceTransform(preprocessing_of(model_or_cfg), augment)
