"""TransFER (Xue et al. 2021, arXiv:2108.11116): local attention and a transformer with dropping."""

from collections.abc import Sequence
from typing import Any

import torch
from timm.models import generate_default_cfgs, register_model
from timm.models.resnet import BasicBlock
from torch import Tensor, nn

from fer_zoo.layers import LocalAttention, MultiAttentionDrop, TokenEmbed
from fer_zoo.models._build import default_cfg
from fer_zoo.models._concat import ConcatTokenModel
from fer_zoo.models._encoder import TokenModel, build_tokens, grid_size
from fer_zoo.models.fer_resnet import SmallFaceResNet
from fer_zoo.models.weights import weights_path


def _cfg(**kwargs: Any) -> dict[str, Any]:
    fixed = {"first_conv": "stem.conv1", "classifier": "head.fc", "pool_size": (6, 6)}
    return default_cfg(**fixed | {"paper_ids": "arXiv:2108.11116"} | kwargs)


default_cfgs = generate_default_cfgs(
    {
        "fer_transfer.fer2013": _cfg(file=weights_path("fer_transfer.fer2013")),
        "fer_transfer_concat.fer2013": _cfg(file=weights_path("fer_transfer_concat.fer2013")),
        "fer_transfer_224": _cfg(input_size=(1, 224, 224), pool_size=(14, 14)),
        "fer_transfer_concat_224": _cfg(input_size=(1, 224, 224), pool_size=(7, 7)),
    }
)


_FULL_WIDTH = (64, 128, 256, 512)


def resnet_stem(
    in_chans: int, stages: int, channels: Sequence[int], small_stem: bool, dd: dict[str, Any]
) -> tuple[nn.Module, list[dict[str, Any]]]:
    """Returns the first stages of ResNet-18 and what is known of their maps."""
    net = SmallFaceResNet(
        BasicBlock, (2, 2, 2, 2), channels=tuple(channels), in_chans=in_chans,
        small_stem=small_stem, num_classes=0, **dd,
    )  # fmt: skip
    net.prune_intermediate_layers(list(range(stages + 1)))
    return net, net.feature_info[: stages + 1]


class TransFER(TokenModel):
    """ResNet-18 stem, local attention branches, MAD, and a transformer with MSAD.

    After Xue et al., "TransFER" (ICCV 2021, arXiv:2108.11116). Two :class:`LocalAttention` branches
    give a map each; :class:`MultiAttentionDrop` may zero one of them; their maximum weighs the
    stem's features, which become tokens. It differs in the stem (the paper: IR-50 pretrained on
    faces) and, for 48 pixels, in 6x6 tokens of width 256 and depth 4 (the paper: 14x14, 768, 8).

    Args:
        num_classes: Logits; 0 gives features.
        in_chans: Input channels.
        img_size: Size that positions are learned at; other sizes interpolate them.
        global_pool: ``"token"`` or ``"avg"``.
        small_stem: False gives the standard ResNet stem, for 224 pixels.
        stem_stages: ResNet stages in front.
        stem_channels: Channels of all four ResNet stages, those left out too.
        embed_dim: Width of a token.
        depth: Encoder blocks.
        num_heads: Attention heads.
        mlp_ratio: Width of a block's hidden layer against ``embed_dim``.
        branches: Local attention branches.
        map_drop: Probability that a sample loses one branch's map.
        head_drop: Probability that a sample loses one attention head, in each block.
        drop_rate: Dropout before the classifier.
        drop_path_rate: Stochastic depth of the last block.

    Shape:
        (N, in_chans, H, W) -> (N, num_classes)

    Example:
        >>> import torch
        >>> from fer_zoo.models import TransFER
        >>> TransFER(num_classes=7)(torch.randn(2, 1, 48, 48)).shape
        torch.Size([2, 7])
    """

    def __init__(
        self,
        num_classes: int = 7,
        in_chans: int = 1,
        img_size: int | tuple[int, int] = 48,
        global_pool: str = "token",
        small_stem: bool = True,
        stem_stages: int = 3,
        stem_channels: Sequence[int] = (48, 96, 192, 384),
        embed_dim: int = 256,
        depth: int = 4,
        num_heads: int = 8,
        mlp_ratio: float = 3.0,
        branches: int = 2,
        map_drop: float = 0.6,
        head_drop: float = 0.3,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        dd: dict[str, Any] = {"device": device, "dtype": dtype}
        stem, info = resnet_stem(in_chans, stem_stages, stem_channels, small_stem, dd)
        super().__init__(
            stem, info, num_classes=num_classes, global_pool=global_pool, num_prefix_tokens=1,
            embed_dim=embed_dim, depth=depth, num_heads=num_heads, mlp_ratio=mlp_ratio,
            head_drop=head_drop, drop_rate=drop_rate, drop_path_rate=drop_path_rate, dd=dd,
        )  # fmt: skip
        channels = info[-1]["num_chs"]
        self.local = nn.ModuleList(LocalAttention(channels, **dd) for _ in range(branches))
        self.map_drop = MultiAttentionDrop(map_drop)
        grid = grid_size(img_size, info[-1]["reduction"])
        self.embed: nn.Module = TokenEmbed(channels, embed_dim, grid, **dd)

    def attention_map(self, x: Tensor) -> Tensor:
        """Returns how the branches together weigh positions, (N, 1, H, W), for the stem's map."""
        maps = torch.cat([branch(x) for branch in self.local], dim=1)  # (N, branches, H, W)
        weights: Tensor = self.map_drop(maps).amax(dim=1, keepdim=True)
        return weights

    def tokenize(self, x: Tensor) -> Tensor:
        """Makes a class token and one token per position of the attended map."""
        tokens: Tensor = self.embed(x * self.attention_map(x))
        return tokens

    def _prune_tokens(self) -> None:
        self.local, self.embed = nn.ModuleList(), nn.Identity()


class TransFERConcat(ConcatTokenModel):
    """The report's variant of TransFER: branches concatenated, mean over tokens, linear.

    From Lee, "Learning Relation-Aware Facial Expression Representations with Transformers"; how it
    differs is told by :class:`ConcatTokenModel`. For 48 pixels the stem has three stages (6x6
    positions) and tokens are 192 wide, depth 4 (the report: 7x7, 2048, 8).

    Args:
        num_classes: Logits; 0 gives features.
        in_chans: Input channels.
        img_size: Size that positions are learned at; other sizes interpolate them.
        global_pool: ``"avg"`` or ``"max"`` over tokens.
        small_stem: False gives the standard ResNet stem, for 224 pixels.
        stem_stages: ResNet stages in front.
        stem_channels: Channels of all four ResNet stages, those left out too.
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
        >>> from fer_zoo.models import TransFERConcat
        >>> TransFERConcat(num_classes=7)(torch.randn(2, 1, 48, 48)).shape
        torch.Size([2, 7])
    """

    def __init__(
        self,
        num_classes: int = 7,
        in_chans: int = 1,
        img_size: int | tuple[int, int] = 48,
        global_pool: str = "avg",
        small_stem: bool = True,
        stem_stages: int = 3,
        stem_channels: Sequence[int] = (48, 96, 192, 384),
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
        stem, info = resnet_stem(in_chans, stem_stages, stem_channels, small_stem, dd)
        super().__init__(
            stem, info, img_size=img_size, num_classes=num_classes, global_pool=global_pool,
            embed_dim=embed_dim, depth=depth, num_heads=num_heads, mlp_ratio=mlp_ratio,
            branches=branches, map_drop=map_drop, head_drop=head_drop, drop_rate=drop_rate,
            drop_path_rate=drop_path_rate, dd=dd,
        )  # fmt: skip


@register_model
def fer_transfer(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """TransFER for 48-pixel faces; 6x6 tokens and a class token."""
    return build_tokens(TransFER, "fer_transfer", pretrained, 5, **kwargs)


@register_model
def fer_transfer_224(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """TransFER of the paper's widths with the standard ResNet stem, 224 pixels, 14x14 tokens."""
    args = {
        "img_size": 224, "small_stem": False, "stem_channels": _FULL_WIDTH, "embed_dim": 768,
        "depth": 8,
    }  # fmt: skip
    return build_tokens(TransFER, "fer_transfer_224", pretrained, 5, **args | kwargs)


@register_model
def fer_transfer_concat(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """The report's TransFER for 48-pixel faces; 6x6 tokens from each of two branches."""
    return build_tokens(TransFERConcat, "fer_transfer_concat", pretrained, 5, **kwargs)


@register_model
def fer_transfer_concat_224(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """The report's TransFER of the report's widths, 224 pixels, 7x7 tokens from each branch."""
    args = {
        "img_size": 224, "small_stem": False, "stem_stages": 4, "stem_channels": _FULL_WIDTH,
        "embed_dim": 2048, "depth": 8,
    }  # fmt: skip
    return build_tokens(TransFERConcat, "fer_transfer_concat_224", pretrained, 6, **args | kwargs)


__all__ = [
    "TransFER",
    "TransFERConcat",
    "fer_transfer",
    "fer_transfer_224",
    "fer_transfer_concat",
    "fer_transfer_concat_224",
]
