"""ResNet (He et al. 2015, arXiv:1512.03385): timm's, with a stem fitted to small faces."""

from typing import Any

from timm.models import generate_default_cfgs, register_model
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from torch import Tensor, nn

from fer_zoo.models._build import build, default_cfg
from fer_zoo.models.face_model import Cfg, FaceModel
from fer_zoo.models.weights import weights_path


def _cfg(**kwargs: object) -> Cfg:
    fixed = {"first_conv": "conv1", "classifier": "fc", "paper_ids": "arXiv:1512.03385"}
    return default_cfg(**{"pool_size": (3, 3)} | fixed | kwargs)


default_cfgs = generate_default_cfgs(
    {
        "fer_resnet18.fer2013": _cfg(file=weights_path("fer_resnet18.fer2013")),
        "fer_resnet50.fer2013": _cfg(file=weights_path("fer_resnet50.fer2013")),
        "fer_resnet18_224": _cfg(input_size=(1, 224, 224), pool_size=(7, 7)),
        "fer_resnet50_224": _cfg(input_size=(1, 224, 224), pool_size=(7, 7)),
    }
)


class SmallFaceResNet(ResNet, FaceModel):
    """timm's ResNet with a stem for small faces: one 3x3 convolution and no max-pool.

    The standard stem (7x7, stride 4 with its pool) leaves one position of a 48-pixel face at the
    last stage. This stem leaves 3x3 positions with stride 2, or 6x6 with stride 1. Unlike timm's,
    blocks do not start as identities: trained from scratch on FER-2013, such blocks learned nothing
    in the first epochs (docs/training.md).

    Args:
        *args: Block and depths, as for timm's ResNet.
        in_chans: Input channels.
        small_stem: False gives the standard stem, for 224 pixels.
        stem_stride: Stride of the small stem, 1 or 2.
        stem_width: Channels of the small stem.
        output_stride: Stride of the last stage: 8, 4 or 2 times that of the stem (4 for the
            standard one). Below the first of them, stages are dilated instead of strided.
        zero_init_last: Whether the last norm of each block starts at 0.
        **kwargs: Further arguments of timm's ResNet.

    Raises:
        ValueError: If the stem cannot have this ``stem_stride`` or ``output_stride``.

    Shape:
        (N, in_chans, H, W) -> (N, num_classes)

    Example:
        >>> import torch
        >>> from fer_zoo.models import SmallFaceResNet
        >>> from timm.models.resnet import BasicBlock
        >>> model = SmallFaceResNet(BasicBlock, (2, 2, 2, 2), num_classes=7)
        >>> model.forward_features(torch.randn(2, 1, 48, 48)).shape
        torch.Size([2, 512, 3, 3])
    """

    def __init__(
        self,
        *args: object,
        in_chans: int = 1,
        small_stem: bool = True,
        stem_stride: int = 2,
        stem_width: int = 64,
        output_stride: int | None = None,
        zero_init_last: bool = False,
        **kwargs: Any,
    ) -> None:
        if stem_stride not in (1, 2):
            raise ValueError(f"stem_stride must be 1 or 2, not {stem_stride}")
        scale = 4 // stem_stride if small_stem else 1  # timm counts the stride of its own stem
        strides = [stride // scale for stride in (32, 16, 8)]
        output_stride = strides[0] if output_stride is None else output_stride
        if output_stride not in strides:
            raise ValueError(f"output_stride must be one of {strides}, not {output_stride}")
        if small_stem:  # timm takes the width of a deep stem alone from an argument
            kwargs |= {"stem_type": "deep", "stem_width": stem_width // 2}
        super().__init__(  # type: ignore[call-arg]
            *args, in_chans=in_chans, output_stride=output_stride * scale,
            zero_init_last=zero_init_last, **kwargs,
        )  # fmt: skip
        if not small_stem:
            return
        weight: Tensor = self.conv1[0].weight  # type: ignore[has-type]
        self.conv1 = nn.Conv2d(
            in_chans, stem_width, 3, stride=stem_stride, padding=1, bias=False,
            device=weight.device, dtype=weight.dtype,
        )  # fmt: skip
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.maxpool = nn.Identity()
        self.feature_info[0]["reduction"] = stem_stride
        for stage in self.feature_info[1:]:
            stage["reduction"] //= scale

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Starts a new classifier; see :meth:`FaceModel.reset_classifier`."""
        super().reset_classifier(num_classes, global_pool)
        self.forget_labels()


def _resnet(variant: str, pretrained: bool, **kwargs: Any) -> FaceModel:
    return build(SmallFaceResNet, variant, pretrained, **kwargs)


@register_model
def fer_resnet18(pretrained: bool = False, **kwargs: Any) -> FaceModel:
    """ResNet-18 of three quarters of the usual width for 48-pixel faces; last map 3x3."""
    args = {"block": BasicBlock, "layers": (2, 2, 2, 2), "channels": (48, 96, 192, 384)}
    return _resnet("fer_resnet18", pretrained, **args | kwargs)


@register_model
def fer_resnet50(pretrained: bool = False, **kwargs: Any) -> FaceModel:
    """ResNet-50 of half the usual width for 48-pixel faces; last map 3x3."""
    args = {"block": Bottleneck, "layers": (3, 4, 6, 3), "channels": (32, 64, 128, 256)}
    return _resnet("fer_resnet50", pretrained, **args | kwargs)


@register_model
def fer_resnet18_224(pretrained: bool = False, **kwargs: Any) -> FaceModel:
    """ResNet-18 with the standard stem, 224 pixels."""
    args = {"block": BasicBlock, "layers": (2, 2, 2, 2), "small_stem": False}
    return _resnet("fer_resnet18_224", pretrained, **args | kwargs)


@register_model
def fer_resnet50_224(pretrained: bool = False, **kwargs: Any) -> FaceModel:
    """ResNet-50 with the standard stem and width, 224 pixels."""
    args = {"block": Bottleneck, "layers": (3, 4, 6, 3), "small_stem": False}
    return _resnet("fer_resnet50_224", pretrained, **args | kwargs)


__all__ = [
    "SmallFaceResNet",
    "fer_resnet18",
    "fer_resnet18_224",
    "fer_resnet50",
    "fer_resnet50_224",
]
