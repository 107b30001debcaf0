"""CustomCNN + Transformer of the report: its TransFER with a small convolutional stem."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from operator import mul
from typing import Any

from timm.models import generate_default_cfgs, register_model
from torch import nn

from fer_zoo.layers import ClassifierHead, conv_layer
from fer_zoo.models._build import default_cfg
from fer_zoo.models.face_model import FaceModel
from fer_zoo.models.fer_transfer import TransFERConcat, transfer
from fer_zoo.models.weights import weights_path


def _cfg(**kwargs: Any) -> dict[str, Any]:
    fixed = {"first_conv": "stem.stages.0.0.conv", "classifier": "head.fc"}
    return default_cfg(**fixed | kwargs)


default_cfgs = generate_default_cfgs(
    {
        "fer_cnn_transformer.fer2013": _cfg(file=weights_path("fer_cnn_transformer.fer2013")),
        "fer_cnn_transformer_224": _cfg(input_size=(1, 224, 224)),
    }
)


class CustomCNN(FaceModel):
    """A stem: one 3x3 convolution, then stages of two, the first of them strided.

    Args:
        in_chans: Input channels.
        channels: Channels of each stage.
        strides: Stride of each stage.
        **dd: Device and dtype.

    Shape:
        (N, in_chans, H, W) -> (N, channels[-1], H', W')

    Example:
        >>> import torch
        >>> from fer_zoo.models import CustomCNN
        >>> CustomCNN(in_chans=1)(torch.randn(2, 1, 48, 48)).shape
        torch.Size([2, 256, 6, 6])
    """

    def __init__(
        self,
        in_chans: int,
        *,
        channels: Sequence[int] = (32, 64, 128, 256),
        strides: Sequence[int] = (1, 2, 2, 2),
        **dd: Any,
    ) -> None:
        super().__init__()
        stages = [nn.Sequential(conv_layer(in_chans, channels[0], stride=strides[0], **dd))]
        for (before, width), stride in zip(pairwise(channels), strides[1:], strict=True):
            first = conv_layer(before, width, stride=stride, **dd)
            stages.append(nn.Sequential(first, conv_layer(width, width, **dd)))
        self.stages = nn.Sequential(*stages)
        self.describe_stages(in_chans, channels, list(accumulate(strides, mul)))
        self.set_head(ClassifierHead(channels[-1], 0, global_pool=""), 0)


@register_model
def fer_cnn_transformer(pretrained: bool = False, **kwargs: Any) -> FaceModel:
    """Small CNN and transformer for 48-pixel faces; 6x6 tokens from each of two branches."""
    return transfer(TransFERConcat, "fer_cnn_transformer", pretrained, 5, stem=CustomCNN, **kwargs)


@register_model
def fer_cnn_transformer_224(pretrained: bool = False, **kwargs: Any) -> FaceModel:
    """Small CNN and the report's encoder, 224 pixels, 7x7 tokens from each branch."""
    args = {
        "img_size": 224, "channels": (64, 128, 256, 512, 512), "strides": (2, 2, 2, 2, 2),
        "embed_dim": 2048, "depth": 8,
    }  # fmt: skip
    return transfer(
        TransFERConcat, "fer_cnn_transformer_224", pretrained, 6, stem=CustomCNN, **args | kwargs
    )


__all__ = ["CustomCNN", "fer_cnn_transformer", "fer_cnn_transformer_224"]
