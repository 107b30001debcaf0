"""The report's transformers: TransFER with concatenated branches, on a ResNet or a small CNN."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from operator import mul
from typing import Any, Unpack

import torch
from timm.models import generate_default_cfgs, register_model
from torch import Tensor, nn

from fer_zoo.layers import ClassifierHead, PositionEmbed, conv_layer
from fer_zoo.models._build import default_cfg
from fer_zoo.models.face_model import Cfg, FaceModel, TensorOptions
from fer_zoo.models.fer_transfer import FULL_WIDTH, TransFER, build_transfer
from fer_zoo.models.weights import weights_path


def _cfg(**kwargs: object) -> Cfg:
    return default_cfg(**{"classifier": "head.fc"} | kwargs)


_RESNET = {"first_conv": "stem.conv1", "paper_ids": "arXiv:2108.11116"}
_CNN = {"first_conv": "stem.stages.0.0.conv"}
_LARGE = {"input_size": (1, 224, 224)}
default_cfgs = generate_default_cfgs(
    {
        "fer_cnn_transformer.fer2013": _cfg(
            file=weights_path("fer_cnn_transformer.fer2013"), **_CNN
        ),
        "fer_cnn_transformer_224": _cfg(**_CNN, **_LARGE),
        "fer_transfer_concat.fer2013": _cfg(
            file=weights_path("fer_transfer_concat.fer2013"), **_RESNET
        ),
        "fer_transfer_concat_224": _cfg(**_RESNET, **_LARGE),
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
        **dd: Unpack[TensorOptions],
    ) -> None:
        super().__init__()
        stages = [nn.Sequential(conv_layer(in_chans, channels[0], stride=strides[0], **dd))]
        for (before, width), stride in zip(pairwise(channels), strides[1:], strict=True):
            first = conv_layer(before, width, stride=stride, **dd)
            stages.append(nn.Sequential(first, conv_layer(width, width, **dd)))
        self.stages = nn.Sequential(*stages)
        self.describe_stages(in_chans, channels, list(accumulate(strides, mul)))
        self.set_head(ClassifierHead(channels[-1], 0, global_pool=""), 0)


class TransFERConcat(TransFER):
    """The report's variant of TransFER: branches concatenated as tokens, mean over tokens, linear.

    From Lee, "Learning Relation-Aware Facial Expression Representations with Transformers". A
    branch is a 3x3 convolution with batch normalisation; :class:`MultiAttentionDrop` may zero one
    of them whole (the report: dropout of single elements). Positions are learned (the report:
    none), and the encoder is pre-norm (the report: post-norm, which did not learn under Adam). For
    48 pixels the stem has three stages (6x6 positions), tokens are 192 wide, and the depth is 4
    (the report: 7x7, 2048, 8). With :class:`CustomCNN` as its ``stem`` this class is the report's
    CustomCNN + Transformer.

    Args:
        num_classes: Logits; 0 gives features.
        in_chans: Input channels.
        img_size: Size that positions are learned at; other sizes interpolate them.
        global_pool: ``"avg"`` or ``"max"`` over tokens.
        embed_dim: Width of a token.
        mlp_ratio: Width of a block's hidden layer against ``embed_dim``.
        head_drop: Probability that a sample loses one attention head, in each block.
        **kwargs: Further arguments of :class:`TransFER`, those of the stem included.

    Shape:
        (N, in_chans, H, W) -> (N, num_classes)

    Example:
        >>> import torch
        >>> from fer_zoo.models import TransFERConcat
        >>> TransFERConcat(num_classes=7)(torch.randn(2, 1, 48, 48)).shape
        torch.Size([2, 7])
    """

    num_prefix_tokens = 0

    def __init__(
        self,
        num_classes: int = 7,
        in_chans: int = 1,
        img_size: int | tuple[int, int] = 48,
        global_pool: str = "avg",
        embed_dim: int = 192,
        mlp_ratio: float = 1.0,
        head_drop: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            num_classes, in_chans, img_size, global_pool, embed_dim=embed_dim,
            mlp_ratio=mlp_ratio, head_drop=head_drop, **kwargs,
        )  # fmt: skip

    def build_tokens(
        self,
        branches: int,
        channels: int,
        embed_dim: int,
        grid: tuple[int, int],
        dd: TensorOptions,
    ) -> None:
        """Builds what :meth:`tokenize` needs."""
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, embed_dim, 3, padding=1, bias=False, **dd),
                nn.BatchNorm2d(embed_dim, **dd),
            )
            for _ in range(branches)
        )
        self.positions: nn.Module = PositionEmbed(embed_dim, grid, **dd)

    def tokenize(self, x: Tensor) -> Tensor:
        """Makes tokens of each branch's map, one branch after the other, (N, branches*H*W, D)."""
        maps = torch.stack([branch(x) for branch in self.branches], dim=1)  # (N, branches, D, H, W)
        placed = self.positions(self.map_drop(maps))
        tokens: Tensor = placed.flatten(3).transpose(2, 3).flatten(1, 2)
        return tokens


@register_model
def fer_transfer_concat(pretrained: bool = False, **kwargs: Any) -> FaceModel:
    """The report's TransFER for 48-pixel faces; 6x6 tokens from each of two branches."""
    return build_transfer(TransFERConcat, "fer_transfer_concat", pretrained, 5, **kwargs)


@register_model
def fer_transfer_concat_224(pretrained: bool = False, **kwargs: Any) -> FaceModel:
    """The report's TransFER of the report's widths, 224 pixels, 7x7 tokens from each branch."""
    args = {
        "img_size": 224, "small_stem": False, "stem_stages": 4, "stem_channels": FULL_WIDTH,
        "embed_dim": 2048, "depth": 8,
    }  # fmt: skip
    return build_transfer(TransFERConcat, "fer_transfer_concat_224", pretrained, 6, **args | kwargs)


@register_model
def fer_cnn_transformer(pretrained: bool = False, **kwargs: Any) -> FaceModel:
    """Small CNN and transformer for 48-pixel faces; 6x6 tokens from each of two branches."""
    return build_transfer(
        TransFERConcat, "fer_cnn_transformer", pretrained, 5, stem=CustomCNN, **kwargs
    )


@register_model
def fer_cnn_transformer_224(pretrained: bool = False, **kwargs: Any) -> FaceModel:
    """Small CNN and the report's encoder, 224 pixels, 7x7 tokens from each branch."""
    args = {
        "img_size": 224, "channels": (64, 128, 256, 512, 512), "strides": (2, 2, 2, 2, 2),
        "embed_dim": 2048, "depth": 8,
    }  # fmt: skip
    return build_transfer(
        TransFERConcat, "fer_cnn_transformer_224", pretrained, 6, stem=CustomCNN, **args | kwargs
    )


__all__ = [
    "CustomCNN",
    "TransFERConcat",
    "fer_cnn_transformer",
    "fer_cnn_transformer_224",
    "fer_transfer_concat",
    "fer_transfer_concat_224",
]
