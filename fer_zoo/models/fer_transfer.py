"""TransFER (Xue et al. 2021, arXiv:2108.11116): local attention and a transformer with dropping."""

from collections.abc import Callable, Sequence
from typing import Any, Unpack

import torch
from timm.layers import calculate_drop_path_rates
from timm.models import generate_default_cfgs, register_model
from timm.models.resnet import BasicBlock
from torch import Tensor, nn

from fer_zoo.layers import (
    ClassifierHead,
    LocalAttention,
    MultiAttentionDrop,
    TokenEmbed,
)
from fer_zoo.models._build import build, default_cfg
from fer_zoo.models._tokens import EncoderBlock, TokenModel, resample_positions
from fer_zoo.models.face_model import Cfg, FaceModel, TensorOptions
from fer_zoo.models.fer_resnet import SmallFaceResNet
from fer_zoo.models.weights import weights_path


def _cfg(**kwargs: object) -> Cfg:
    fixed = {"first_conv": "stem.conv1", "classifier": "head.fc"}
    return default_cfg(**fixed | {"paper_ids": "arXiv:2108.11116"} | kwargs)


default_cfgs = generate_default_cfgs(
    {
        "fer_transfer.fer2013": _cfg(file=weights_path("fer_transfer.fer2013")),
        "fer_transfer_224": _cfg(input_size=(1, 224, 224)),
    }
)


FULL_WIDTH = (64, 128, 256, 512)


def resnet_stem(
    in_chans: int,
    *,
    small_stem: bool = True,
    stem_stride: int = 2,
    stem_width: int = 64,
    stem_stages: int = 3,
    stem_channels: Sequence[int] = (48, 96, 192, 384),
    **dd: Unpack[TensorOptions],
) -> FaceModel:
    """Returns the first stages of ResNet-18.

    Args:
        in_chans: Input channels.
        small_stem: False gives the standard ResNet stem, for 224 pixels.
        stem_stride: Stride of the small stem's first convolution.
        stem_width: Channels of that convolution.
        stem_stages: ResNet stages to keep.
        stem_channels: Channels of all four ResNet stages, dropped ones included.
        **dd: Device and dtype.
    """
    net = SmallFaceResNet(
        BasicBlock, (2, 2, 2, 2), channels=tuple(stem_channels), in_chans=in_chans,
        small_stem=small_stem, stem_stride=stem_stride, stem_width=stem_width, num_classes=0, **dd,
    )  # fmt: skip
    net.prune_intermediate_layers(list(range(stem_stages + 1)))
    net.feature_info = net.feature_info[: stem_stages + 1]
    return net


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
        global_pool: ``"token"``, or ``"avg"`` or ``"max"`` over the other tokens.
        stem: Makes the stem of ``in_chans``, ``**stem_args``, device and dtype.
        embed_dim: Width of a token.
        depth: Encoder blocks.
        num_heads: Attention heads.
        mlp_ratio: Width of a block's hidden layer against ``embed_dim``.
        branches: Local attention branches; without any, the map is not weighed.
        map_drop: Probability that a sample loses one branch's map.
        head_drop: Probability that a sample loses one attention head, in each block.
        drop_rate: Dropout before the classifier.
        drop_path_rate: Stochastic depth of the last block; earlier blocks have less.
        **stem_args: Arguments of the stem, such as ``stem_channels`` of :func:`resnet_stem`.

    Shape:
        (N, in_chans, H, W) -> (N, num_classes)

    Example:
        >>> import torch
        >>> from fer_zoo.models import TransFER
        >>> TransFER(num_classes=7)(torch.randn(2, 1, 48, 48)).shape
        torch.Size([2, 7])
    """

    num_prefix_tokens = 1  # the class token

    def __init__(
        self,
        num_classes: int = 7,
        in_chans: int = 1,
        img_size: int | tuple[int, int] = 48,
        global_pool: str = "token",
        stem: Callable[..., FaceModel] = resnet_stem,
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
        **stem_args: Any,
    ) -> None:
        super().__init__()
        dd: TensorOptions = {"device": device, "dtype": dtype}
        self.stem = stem(in_chans, **stem_args, **dd)
        self.blocks = nn.Sequential(
            *(
                EncoderBlock(embed_dim, num_heads, mlp_ratio, head_drop, rate, **dd)
                for rate in calculate_drop_path_rates(drop_path_rate, depth)
            )
        )
        self.norm = nn.LayerNorm(embed_dim, eps=1e-6, **dd)
        self.describe_encoder(in_chans, embed_dim)
        head = ClassifierHead(
            embed_dim, num_classes, global_pool, drop_rate=drop_rate,
            num_prefix_tokens=self.num_prefix_tokens, **dd,
        )  # fmt: skip
        self.set_head(head, num_classes)
        self.map_drop = MultiAttentionDrop(map_drop)
        last = self.stem.feature_info[-1]
        channels, reduction = last["num_chs"], last["reduction"]
        height, width = (img_size, img_size) if isinstance(img_size, int) else img_size
        grid = (-(-height // reduction), -(-width // reduction))  # each stride of 2 rounds up
        self.build_tokens(branches, channels, embed_dim, grid, dd)

    def build_tokens(
        self,
        branches: int,
        channels: int,
        embed_dim: int,
        grid: tuple[int, int],
        dd: TensorOptions,
    ) -> None:
        """Builds what :meth:`tokenize` needs."""
        self.local = nn.ModuleList(LocalAttention(channels, **dd) for _ in range(branches))
        self.embed: nn.Module = TokenEmbed(channels, embed_dim, grid, **dd)

    def attention_map(self, x: Tensor) -> Tensor:
        """Returns how the branches together weigh positions, (N, 1, H, W), for the stem's map."""
        maps = torch.cat([branch(x) for branch in self.local], dim=1)  # (N, branches, H, W)
        weights: Tensor = self.map_drop(maps).amax(dim=1, keepdim=True)
        return weights

    def tokenize(self, x: Tensor) -> Tensor:
        """Makes a class token and one token per position of the attended map."""
        tokens: Tensor = self.embed(x * self.attention_map(x) if len(self.local) else x)
        return tokens


def build_transfer(
    model_cls: type[TransFER], variant: str, pretrained: bool, maps: int, **kwargs: Any
) -> FaceModel:
    """Builds a model of this family, whose features are ``maps`` maps."""
    features = {"feature_cls": "getter", "out_indices": tuple(range(maps))}
    return build(
        model_cls, variant, pretrained, filter_fn=resample_positions, feature_cfg=features, **kwargs
    )


@register_model
def fer_transfer(pretrained: bool = False, **kwargs: Any) -> FaceModel:
    """TransFER for 48-pixel faces; 6x6 tokens and a class token."""
    return build_transfer(TransFER, "fer_transfer", pretrained, 5, **kwargs)


@register_model
def fer_transfer_224(pretrained: bool = False, **kwargs: Any) -> FaceModel:
    """TransFER of the paper's widths with the standard ResNet stem, 224 pixels, 14x14 tokens."""
    args = {
        "img_size": 224, "small_stem": False, "stem_channels": FULL_WIDTH, "embed_dim": 768,
        "depth": 8,
    }  # fmt: skip
    return build_transfer(TransFER, "fer_transfer_224", pretrained, 5, **args | kwargs)


__all__ = ["TransFER", "fer_transfer", "fer_transfer_224"]
