"""AlexNet (Krizhevsky et al. 2012): five convolutions and three fully connected layers."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from timm.models import generate_default_cfgs, register_model
from torch import nn

from fer_zoo.layers import ClassifierHead, conv_layer
from fer_zoo.models._build import build, default_cfg
from fer_zoo.models.face_model import Cfg, FaceModel, TensorOptions
from fer_zoo.models.weights import weights_path


def _cfg(**kwargs: object) -> Cfg:
    fixed = {"first_conv": "stages.0.0.conv", "classifier": "head.fc", "pool_size": (3, 3)}
    return default_cfg(**fixed | {"paper_ids": "arXiv:1404.5997"} | kwargs)


default_cfgs = generate_default_cfgs(
    {
        "fer_alexnet.fer2013": _cfg(file=weights_path("fer_alexnet.fer2013")),
        "fer_alexnet_224": _cfg(
            input_size=(1, 224, 224), pool_size=(6, 6), min_input_size=(1, 63, 63)
        ),
    }
)


class AlexNet(FaceModel):
    """Five convolutions, three of them followed by a max-pool, and three linear layers.

    This is the single-stream form (Krizhevsky 2014, arXiv:1404.5997). Its 11x11 stem of stride 4
    needs 63 pixels. For small faces the stem has a 5x5 kernel and stride 2, the pools keep the
    border, each convolution has batch normalisation (without it the model learns little on small
    faces), and the linear layers are narrower. ``small_stem=False`` gives the original geometry
    without norms.

    Args:
        num_classes: Logits; 0 gives features.
        in_chans: Input channels.
        global_pool: How the last map is pooled to the grid, ``"avg"`` or ``"max"``.
        small_stem: False gives the stem, pools and norms of the original.
        hidden: Widths of the two hidden linear layers.
        drop_rate: Dropout of the linear layers.

    Shape:
        (N, in_chans, H, W) -> (N, num_classes); H and W from 32, or 63 with the original stem

    Example:
        >>> import torch
        >>> from fer_zoo.models import AlexNet
        >>> AlexNet(num_classes=7)(torch.randn(2, 1, 48, 48)).shape
        torch.Size([2, 7])
    """

    def __init__(
        self,
        num_classes: int = 7,
        in_chans: int = 1,
        global_pool: str = "avg",
        small_stem: bool = True,
        hidden: Sequence[int] = (768, 768),
        drop_rate: float = 0.5,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        dd: TensorOptions = {"device": device, "dtype": dtype}
        layer = partial(conv_layer, norm=small_stem, **dd)
        kernel, stride = (5, 2) if small_stem else (11, 4)

        def pool() -> nn.Module:
            return nn.MaxPool2d(3, 2, padding=1 if small_stem else 0)

        self.stages = nn.Sequential(
            nn.Sequential(layer(in_chans, 64, kernel, stride, 2), pool()),
            nn.Sequential(layer(64, 192, 5), pool()),
            nn.Sequential(layer(192, 384)),
            nn.Sequential(layer(384, 256)),
            nn.Sequential(layer(256, 256), pool()),
        )
        channels, strides = (64, 192, 384, 256, 256), (2, 4, 4, 4, 8)
        self.describe_stages(in_chans, channels, [stride * s for s in strides])
        grid = 3 if small_stem else 6
        head = ClassifierHead(256, num_classes, global_pool, grid, hidden, drop_rate, **dd)
        self.set_head(head, num_classes)


def _alexnet(variant: str, pretrained: bool, **kwargs: Any) -> FaceModel:
    return build(AlexNet, variant, pretrained, feature_cfg={"feature_cls": "getter"}, **kwargs)


@register_model
def fer_alexnet(pretrained: bool = False, **kwargs: Any) -> FaceModel:
    """AlexNet for 48-pixel faces; last map 3x3."""
    return _alexnet("fer_alexnet", pretrained, **kwargs)


@register_model
def fer_alexnet_224(pretrained: bool = False, **kwargs: Any) -> FaceModel:
    """AlexNet with its original geometry, 224 pixels."""
    args = {"small_stem": False, "hidden": (4096, 4096)}
    return _alexnet("fer_alexnet_224", pretrained, **args | kwargs)


__all__ = ["AlexNet", "fer_alexnet", "fer_alexnet_224"]
