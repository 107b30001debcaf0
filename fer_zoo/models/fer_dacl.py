"""DACL: ResNet-18 with self-attention over its last map, trained with an attentive center loss."""

from collections.abc import Callable
from typing import Any

import torch
from timm.models import checkpoint_seq, generate_default_cfgs, register_model
from timm.models._features import feature_take_indices
from timm.models.resnet import BasicBlock
from torch import Tensor, nn

from fer_zoo.layers import RelativeSelfAttention2d
from fer_zoo.models._build import build, default_cfg
from fer_zoo.models.face_model import Cfg, FaceModel
from fer_zoo.models.fer_resnet import SmallFaceResNet
from fer_zoo.models.weights import weights_path


def _cfg(**kwargs: object) -> Cfg:
    fixed = {"first_conv": "conv1", "classifier": "fc", "paper_ids": "arXiv:2011.13990"}
    return default_cfg(**{"pool_size": (6, 6)} | fixed | kwargs)


default_cfgs = generate_default_cfgs(
    {
        "fer_dacl.fer2013": _cfg(file=weights_path("fer_dacl.fer2013")),
        "fer_dacl_224": _cfg(input_size=(1, 224, 224), pool_size=(7, 7)),
    }
)


#: The self-attentions that a DACL can have.
ATTENTIONS: dict[str, Callable[..., nn.Module]] = {
    "relative": RelativeSelfAttention2d,
    "none": nn.Identity,
}


class DACL(SmallFaceResNet):
    """ResNet-18, spatial self-attention over the last map, global average pool, linear.

    After Farzaneh & Qi, "Facial Expression Recognition in the Wild via Deep Attentive Center Loss"
    (WACV 2021, arXiv:2011.13990). The attention of the paper weighs feature dimensions inside the
    loss: here :class:`fer_zoo.losses.AttentiveCenterLoss` does that. It is trained beside the model
    and is not part of it. The self-attention over positions is the report's. In ``fer_dacl`` it
    sees 6x6 positions, where the report's sees one (whose softmax is always 1), and its output is
    pooled.

    Args:
        attention: The self-attention: ``"relative"`` (:class:`RelativeSelfAttention2d`) or
            ``"none"``.
        **kwargs: Arguments of :class:`SmallFaceResNet`.

    Raises:
        ValueError: If there is no such attention.

    Shape:
        (N, in_chans, H, W) -> (N, num_classes)

    Example:
        >>> import torch
        >>> from fer_zoo.models import DACL
        >>> DACL(num_classes=7)(torch.randn(2, 1, 48, 48)).shape
        torch.Size([2, 7])
    """

    def __init__(self, attention: str = "relative", **kwargs: Any) -> None:
        super().__init__(**{"block": BasicBlock, "layers": (2, 2, 2, 2)} | kwargs)
        weight = self.conv1.weight
        if attention not in ATTENTIONS:
            names = ", ".join(ATTENTIONS)
            raise ValueError(f"there is no attention {attention!r}; it can be {names}")
        self.attention: nn.Module = ATTENTIONS[attention](
            self.num_features, device=weight.device, dtype=weight.dtype
        )
        self.feature_info[-1] = {**self.feature_info[-1], "module": "attention"}

    def forward_features(self, x: Tensor) -> Tensor:
        """Returns the attended last map, (N, num_features, H', W')."""
        x = self.maxpool(self.act1(self.bn1(self.conv1(x))))  # type: ignore[operator]
        if self.grad_checkpointing and not torch.jit.is_scripting():  # type: ignore[attr-defined]
            stages = [self.layer1, self.layer2, self.layer3, self.layer4]
            x = checkpoint_seq(stages, x, flatten=True)
        else:
            x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # type: ignore[operator]
        attended: Tensor = self.attention(x)
        return attended

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """As timm's ResNet; the last intermediate is the attended map."""
        last, maps = super().forward_intermediates(x, indices, norm, stop_early, output_fmt)
        taken, deepest = feature_take_indices(5, indices)
        if deepest == 4 or not stop_early:
            last = self.attention(last)
            maps = [*maps[:-1], last] if 4 in taken else maps
        return maps if intermediates_only else (last, maps)

    def prune_intermediate_layers(
        self,
        indices: int | list[int] = 1,
        prune_norm: bool = False,
        prune_head: bool = True,
    ) -> list[int]:
        """As timm's ResNet; the attention goes with the last stage."""
        taken: list[int] = super().prune_intermediate_layers(indices, prune_norm, prune_head)
        if max(taken) < 4:
            self.attention = nn.Identity()
        return taken


def _dacl(variant: str, pretrained: bool, **kwargs: Any) -> FaceModel:
    return build(DACL, variant, pretrained, feature_cfg={"feature_cls": "getter"}, **kwargs)


@register_model
def fer_dacl(pretrained: bool = False, **kwargs: Any) -> FaceModel:
    """DACL of half the usual width for 48-pixel faces; first stage 48x48, last map 6x6."""
    args = {"stem_stride": 1, "stem_width": 32, "channels": (32, 64, 128, 256)}
    return _dacl("fer_dacl", pretrained, **args | kwargs)


@register_model
def fer_dacl_224(pretrained: bool = False, **kwargs: Any) -> FaceModel:
    """DACL with the standard ResNet stem, 224 pixels."""
    return _dacl("fer_dacl_224", pretrained, **{"small_stem": False} | kwargs)


__all__ = ["DACL", "fer_dacl", "fer_dacl_224"]
