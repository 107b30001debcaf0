"""Preprocessing and augmentation of single PIL images, with torchvision.

:mod:`fer_zoo.data.augment` does the same to whole tensors, faster.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.transforms import v2
from torchvision.transforms.v2 import InterpolationMode

from fer_zoo.errors import ConfigError

#: Named pipelines.
PRESETS = ("report",)


class _Replicate(nn.Module):
    """Copies the gray channel, (1, H, W) -> (C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, image: Tensor) -> Tensor:
        return image.expand(self.channels, -1, -1)


def create_transform(
    model_or_cfg: nn.Module | dict[str, Any],
    is_training: bool = False,
    preset: str | None = None,
) -> Any:
    """Builds the transform from a PIL image of any mode to a model's input.

    The whole image is squeezed to the model's square input and normalised as its weights want it.
    Training adds small rotations, shifts, changes of scale and brightness, a flip, and erasing.

    The preset ``"report"`` is the pipeline of Lee, "Learning Relation-Aware Facial Expression
    Representations with Transformers": resize to 230, rotate by up to 15 degrees, random crop of
    224 with a padding of 8, flip; values stay in [0, 1]. The report also evaluated with it; here
    evaluation takes the central crop instead.

    Args:
        model_or_cfg: A model of fer_zoo or timm, or its ``pretrained_cfg``.
        is_training: Whether to augment.
        preset: None or ``"report"``.

    Returns:
        A callable that turns an image into a float tensor (in_chans, S, S).

    Raises:
        ConfigError: If the preset does not exist, or the config lacks what is needed.

    Example:
        >>> from PIL import Image
        >>> cfg = {"input_size": (1, 48, 48), "mean": (0.5,), "std": (0.25,)}
        >>> create_transform(cfg)(Image.new("RGB", (640, 480))).shape
        torch.Size([1, 48, 48])
    """
    cfg = model_or_cfg
    if isinstance(cfg, nn.Module):
        cfg = getattr(cfg, "pretrained_cfg", None) or {}
    missing = [key for key in ("input_size", "mean", "std") if key not in cfg]
    if missing:
        raise ConfigError(
            f"the config lacks {', '.join(missing)}; give a model of fer_zoo or its pretrained_cfg"
        )
    if preset is not None and preset not in PRESETS:
        raise ConfigError(f"unknown preset {preset!r}; there are {', '.join(PRESETS)}")
    channels, height, width = cfg["input_size"]
    steps: list[Any] = [v2.Grayscale(1)]
    if preset == "report":
        steps += _report(is_training)
    else:
        mode = _interpolation(cfg.get("interpolation") or "bilinear")
        steps += _augmentation(mode) if is_training else []
        steps += [v2.Resize((height, width), interpolation=mode, antialias=True)]
    steps += [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.ToPureTensor()]
    if channels > 1:
        steps.append(_Replicate(channels))
    if preset is None:
        steps.append(v2.Normalize(list(cfg["mean"]), list(cfg["std"])))
        if is_training:
            steps.append(v2.RandomErasing(p=0.5, scale=(0.02, 0.2)))  # after it 0 is the mean
    return v2.Compose(steps)


def _interpolation(name: str) -> InterpolationMode:
    names = [mode.value for mode in InterpolationMode]
    if name not in names:
        raise ConfigError(f"unknown interpolation {name!r}; there are {', '.join(names)}")
    return InterpolationMode(name)


def _report(is_training: bool) -> list[Any]:
    if not is_training:
        return [v2.Resize(230), v2.CenterCrop(224)]
    return [
        v2.Resize(230),
        v2.RandomRotation(15),
        v2.RandomCrop(224, padding=8),
        v2.RandomHorizontalFlip(),
    ]


def _augmentation(mode: InterpolationMode) -> list[Any]:
    """Returns the counterpart of :class:`fer_zoo.data.augment.BatchAugment`, on PIL images."""
    return [
        v2.RandomAffine(15, translate=(0.1, 0.1), scale=(0.9, 1.1), interpolation=mode, fill=127),
        v2.RandomHorizontalFlip(),
        v2.ColorJitter(brightness=0.1, contrast=0.2),
    ]
