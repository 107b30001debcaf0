"""CustomCNN + Transformer of the report: TransFER's encoder on a small convolutional stem."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from timm.models import generate_default_cfgs, register_model
from torch import nn

from fer_zoo.models._build import default_cfg
from fer_zoo.models._concat import ConcatTokenModel
from fer_zoo.models._encoder import build_tokens
from fer_zoo.models._staged import StagedConvNet, conv_layer
from fer_zoo.models.weights import weights_path


def _cfg(**kwargs: Any) -> dict[str, Any]:
    fixed = {"first_conv": "stem.stages.0.0.conv", "classifier": "head.fc", "pool_size": (6, 6)}
    return default_cfg(**fixed | kwargs)


default_cfgs = generate_default_cfgs(
    {
        "fer_cnn_transformer.fer2013": _cfg(file=weights_path("fer_cnn_transformer.fer2013")),
        "fer_cnn_transformer_224": _cfg(input_size=(1, 224, 224), pool_size=(7, 7)),
    }
)


def small_cnn(
    in_chans: int, channels: Sequence[int], strides: Sequence[int], dd: dict[str, Any]
) -> StagedConvNet:
    """Returns a stem: one 3x3 convolution, then stages of two, the first of them strided."""
    stages = [nn.Sequential(conv_layer(in_chans, channels[0], stride=strides[0], **dd))]
    for (before, width), stride in zip(pairwise(channels), strides[1:], strict=True):
        stages.append(
            nn.Sequential(
                conv_layer(before, width, stride=stride, **dd), conv_layer(width, width, **dd)
            )
        )
    reductions = [1]
    for stride in strides:
        reductions.append(reductions[-1] * stride)
    return StagedConvNet(stages, channels, reductions[1:], num_classes=0)


class CNNTransformer(ConcatTokenModel):
    """A small CNN, two convolutional branches as tokens, and a transformer encoder.

    The report's CustomCNN + Transformer, which is its TransFER with another stem; how it differs is
    told by :class:`ConcatTokenModel`. For 48 pixels tokens are 192 wide, depth 4.

    Args:
        num_classes: Logits; 0 gives features.
        in_chans: Input channels.
        img_size: Size that positions are learned at; other sizes interpolate them.
        global_pool: ``"avg"`` or ``"max"`` over tokens.
        channels: Channels of the stem's stages.
        strides: Strides of the stem's stages.
        embed_dim: Width of a token.
        depth: Encoder blocks.
        num_heads: Attention heads.
        mlp_ratio: Width of a block's hidden layer against ``embed_dim``.
        branches: Convolutional branches.
        map_drop: Probability that a sample loses one branch.
        head_drop: Probability that a sample loses one attention head, in each block.
        drop_rate: Dropout before the classifier.
        drop_path_rate: Stochastic depth of the last block.

    Shape:
        (N, in_chans, H, W) -> (N, num_classes)

    Example:
        >>> import torch
        >>> from fer_zoo.models import CNNTransformer
        >>> CNNTransformer(num_classes=7)(torch.randn(2, 1, 48, 48)).shape
        torch.Size([2, 7])
    """

    def __init__(
        self,
        num_classes: int = 7,
        in_chans: int = 1,
        img_size: int | tuple[int, int] = 48,
        global_pool: str = "avg",
        channels: Sequence[int] = (32, 64, 128, 256),
        strides: Sequence[int] = (1, 2, 2, 2),
        embed_dim: int = 192,
        depth: int = 4,
        num_heads: int = 8,
        mlp_ratio: float = 1.0,
        branches: int = 2,
        map_drop: float = 0.6,
        head_drop: float = 0.0,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        dd: dict[str, Any] = {"device": device, "dtype": dtype}
        stem = small_cnn(in_chans, channels, strides, dd)
        super().__init__(
            stem, stem.feature_info, img_size=img_size, num_classes=num_classes,
            global_pool=global_pool, embed_dim=embed_dim, depth=depth, num_heads=num_heads,
            mlp_ratio=mlp_ratio, branches=branches, map_drop=map_drop, head_drop=head_drop,
            drop_rate=drop_rate, drop_path_rate=drop_path_rate, dd=dd,
        )  # fmt: skip


@register_model
def fer_cnn_transformer(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Small CNN and transformer for 48-pixel faces; 6x6 tokens from each of two branches."""
    return build_tokens(CNNTransformer, "fer_cnn_transformer", pretrained, 5, **kwargs)


@register_model
def fer_cnn_transformer_224(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Small CNN and the report's encoder, 224 pixels, 7x7 tokens from each branch."""
    args = {
        "img_size": 224, "channels": (64, 128, 256, 512, 512), "strides": (2, 2, 2, 2, 2),
        "embed_dim": 2048, "depth": 8,
    }  # fmt: skip
    return build_tokens(CNNTransformer, "fer_cnn_transformer_224", pretrained, 6, **args | kwargs)


__all__ = ["CNNTransformer", "fer_cnn_transformer", "fer_cnn_transformer_224"]
