"""VGG (Simonyan & Zisserman 2014, arXiv:1409.1556) of four stages, as the report has it."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from timm.models import generate_default_cfgs, register_model
from torch import nn

from fer_zoo.labels import FERPLUS_LABELS
from fer_zoo.layers import ClassifierHead, conv_layer
from fer_zoo.models._build import build, default_cfg
from fer_zoo.models.face_model import Cfg, FaceModel, TensorOptions
from fer_zoo.models.weights import weights_path


def _cfg(**kwargs: object) -> Cfg:
    fixed = {"first_conv": "stages.0.0.conv", "classifier": "head.fc", "pool_size": (3, 3)}
    return default_cfg(**fixed | {"paper_ids": "arXiv:1409.1556"} | kwargs)


default_cfgs = generate_default_cfgs(
    {
        "fer_vgg.fer2013": _cfg(file=weights_path("fer_vgg.fer2013")),
        "fer_vgg.ferplus": _cfg(
            file=weights_path("fer_vgg.ferplus"), label_names=FERPLUS_LABELS, num_classes=8
        ),
        "fer_vgg_small.fer2013": _cfg(file=weights_path("fer_vgg_small.fer2013")),
        "fer_vgg_nano.fer2013": _cfg(file=weights_path("fer_vgg_nano.fer2013")),
        "fer_vgg_224": _cfg(input_size=(1, 224, 224), pool_size=(14, 14)),
    }
)


class VGG(FaceModel):
    """Four stages of two 3x3 convolutions and a max-pool, then three linear layers.

    This is the report's VGGNet. Unlike VGG-16 (arXiv:1409.1556) it has four stages of two
    convolutions each and batch normalisation, and pools the last map adaptively before it is
    flattened.

    Args:
        num_classes: Logits; 0 gives features.
        in_chans: Input channels.
        global_pool: How the last map is pooled to the grid, ``"avg"`` or ``"max"``.
        channels: Channels of each stage.
        grid: Side of the grid that the last map is pooled to.
        hidden: Widths of the two hidden linear layers.
        drop_rate: Dropout of the linear layers.
        stem_stride: Stride of the first convolution.
        last_pool: Whether the last stage ends in a max-pool too.

    Shape:
        (N, in_chans, H, W) -> (N, num_classes)

    Example:
        >>> import torch
        >>> from fer_zoo.models import VGG
        >>> VGG(num_classes=7)(torch.randn(2, 1, 48, 48)).shape
        torch.Size([2, 7])
    """

    def __init__(
        self,
        num_classes: int = 7,
        in_chans: int = 1,
        global_pool: str = "avg",
        channels: Sequence[int] = (64, 128, 256, 512),
        grid: int = 3,
        hidden: Sequence[int] = (384, 384),
        drop_rate: float = 0.5,
        stem_stride: int = 1,
        last_pool: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        dd: TensorOptions = {"device": device, "dtype": dtype}
        stages = []
        for i, (before, width) in enumerate(pairwise((in_chans, *channels))):
            layers: list[nn.Module] = [
                conv_layer(before, width, stride=1 if i else stem_stride, **dd),
                conv_layer(width, width, **dd),
            ]
            if last_pool or i < len(channels) - 1:
                layers.append(nn.MaxPool2d(2))
            stages.append(nn.Sequential(*layers))
        self.stages = nn.Sequential(*stages)
        reductions = [stem_stride * 2 ** (i + 1) for i in range(len(channels))]
        reductions[-1] //= 1 if last_pool else 2
        self.describe_stages(in_chans, channels, reductions)
        head = ClassifierHead(channels[-1], num_classes, global_pool, grid, hidden, drop_rate, **dd)
        self.set_head(head, num_classes)


def _vgg(variant: str, pretrained: bool, **kwargs: Any) -> FaceModel:
    features = {"feature_cls": "getter", "out_indices": (0, 1, 2, 3)}
    return build(VGG, variant, pretrained, feature_cfg=features, **kwargs)


@register_model
def fer_vgg(pretrained: bool = False, **kwargs: Any) -> FaceModel:
    """VGG of three quarters of the usual width for 48-pixel faces; last map 3x3."""
    return _vgg("fer_vgg", pretrained, **{"channels": (48, 96, 192, 384)} | kwargs)


@register_model
def fer_vgg_small(pretrained: bool = False, **kwargs: Any) -> FaceModel:
    """A small fast VGG for 48-pixel faces: stride 2 at once, global pool; last map 3x3."""
    args = {"channels": (48, 128, 256, 256), "grid": 1, "hidden": (), "drop_rate": 0.2}
    stem = {"stem_stride": 2, "last_pool": False}
    return _vgg("fer_vgg_small", pretrained, **args | stem | kwargs)


@register_model
def fer_vgg_nano(pretrained: bool = False, **kwargs: Any) -> FaceModel:
    """The smallest VGG, for phones and pages: stride 2 at once, global pool; last map 3x3."""
    args = {"channels": (32, 64, 96, 128), "grid": 1, "hidden": (), "drop_rate": 0.1}
    stem = {"stem_stride": 2, "last_pool": False}
    return _vgg("fer_vgg_nano", pretrained, **args | stem | kwargs)


@register_model
def fer_vgg_224(pretrained: bool = False, **kwargs: Any) -> FaceModel:
    """VGG with wide linear layers on a 7x7 grid, 224 pixels."""
    return _vgg("fer_vgg_224", pretrained, **{"grid": 7, "hidden": (4096, 4096)} | kwargs)


__all__ = ["VGG", "fer_vgg", "fer_vgg_224", "fer_vgg_nano", "fer_vgg_small"]
