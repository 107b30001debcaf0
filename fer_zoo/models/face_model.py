"""The base of every model: what its callers may rely on, and what timm expects of it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import torch
from timm.layers import register_notrace_module
from timm.models import checkpoint, checkpoint_seq
from timm.models._features import feature_take_indices
from torch import Tensor, nn

from fer_zoo.layers import ClassifierHead, MultiAttentionDrop, PositionEmbed

for _layer in (ClassifierHead, MultiAttentionDrop, PositionEmbed):
    register_notrace_module(_layer)  # torch.fx cannot follow their branches on shapes

#: A model's ``pretrained_cfg``: timm's own entries, and those that fer_zoo adds to them.
Cfg = dict[str, Any]


class FeatureInfo(TypedDict):
    """What timm is told of one map: its channels, its stride, and the module that returns it."""

    num_chs: int
    reduction: int
    module: str


class TensorOptions(TypedDict):
    """Where parameters are made, and of which type."""

    device: torch.device | str | None
    dtype: torch.dtype | None


def generic_label_names(num_classes: int) -> tuple[str, ...]:
    """Names the classes of a classifier that nobody has named: class_0, class_1 ..."""
    return tuple(f"class_{i}" for i in range(num_classes))


class FaceModel(nn.Module):
    """A classifier of faces: float images (N, in_chans, H, W) to logits (N, num_classes).

    The forward pass is ``stages``, one after the other, then ``head``. A subclass builds both and
    calls :meth:`describe_stages` and :meth:`set_head`; one that is not made of stages overrides
    what reads them. A class of timm, which has most of these methods, comes before this one:
    ``class SmallFaceResNet(ResNet, FaceModel)``.

    Attributes:
        label_names: Names of the classes; empty without a classifier.
        temperature: What logits are divided by before the softmax, to calibrate the confidence.
        pretrained_cfg: Preprocessing, labels and source of the weights, as timm keeps them.
        in_chans: Channels of an image.
        num_classes: Logits; 0 without a classifier.
        num_features: Channels of what ``forward_features`` returns.
        head_hidden_size: Features that the classifier sees.
        feature_info: Channels, reduction and module of each map of ``forward_intermediates``.

    Shape:
        (N, in_chans, H, W) -> (N, num_classes)

    Example:
        >>> import torch
        >>> from fer_zoo.layers import ClassifierHead, conv_layer
        >>> from fer_zoo.models import FaceModel
        >>> class Small(FaceModel):
        ...     def __init__(self, num_classes=7, in_chans=1):
        ...         super().__init__()
        ...         first = conv_layer(in_chans, 8, stride=2)
        ...         self.stages = torch.nn.Sequential(first, conv_layer(8, 16, stride=2))
        ...         self.describe_stages(in_chans, channels=(8, 16), reductions=(2, 4))
        ...         self.set_head(ClassifierHead(16, num_classes), num_classes)
        >>> Small()(torch.randn(2, 1, 48, 48)).shape
        torch.Size([2, 7])
    """

    pretrained_cfg: Cfg
    in_chans: int
    num_classes: int
    num_features: int
    head_hidden_size: int
    feature_info: list[FeatureInfo]
    if TYPE_CHECKING:  # torch.jit.script stops at a module's annotation
        stages: nn.Sequential
        head: ClassifierHead

    def __init__(self) -> None:
        super().__init__()
        self.label_names: tuple[str, ...] = ()
        self.temperature: float = 1.0
        self.grad_checkpointing: bool = False

    def describe_stages(
        self, in_chans: int, channels: Sequence[int], reductions: Sequence[int]
    ) -> None:
        """Sets what is known of the images and of the map that each stage returns.

        Args:
            in_chans: Channels of an image.
            channels: Channels of each map.
            reductions: Stride of each map against the image.
        """
        self.in_chans, self.num_features = in_chans, channels[-1]
        self.feature_info = [
            {"num_chs": c, "reduction": r, "module": f"stages.{i}"}
            for i, (c, r) in enumerate(zip(channels, reductions, strict=True))
        ]

    def set_head(self, head: ClassifierHead, num_classes: int) -> None:
        """Sets the head of a new model, and the numbers that describe it."""
        self.head, self.num_classes, self.head_hidden_size = head, num_classes, head.num_features

    def forward_features(self, x: Tensor) -> Tensor:
        """Returns the last map (N, num_features, H', W'), or the last tokens."""
        if self.grad_checkpointing and not torch.jit.is_scripting():  # type: ignore[attr-defined]
            x = checkpoint_seq(self.stages, x)
        else:
            x = self.stages(x)
        return x

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Returns the logits of features.

        Args:
            x: What :meth:`forward_features` returns.
            pre_logits: Returns what the classifier would see, (N, head_hidden_size).
        """
        logits: Tensor = self.head(x, pre_logits=pre_logits)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (N, num_classes)."""
        return self.forward_head(self.forward_features(x))

    def get_classifier(self, name_only: bool = False) -> nn.Module | str:
        """Returns the last linear layer, or its name."""
        return "head.fc" if name_only else self.head.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Starts a new classifier. Its classes are new too, and named class_0, class_1 ...

        Set ``label_names`` afterwards, or pass ``label_names=`` to
        :func:`fer_zoo.create_model` instead of a reset.

        Args:
            num_classes: Logits; 0 gives pooled features.
            global_pool: As before where not given; ``""`` gives unpooled features.
        """
        like = next(self.parameters())
        self.head.reset(num_classes, global_pool, device=like.device, dtype=like.dtype)
        self.num_classes = num_classes
        self.forget_labels()

    def forget_labels(self) -> None:
        """Gives the classes generic names and no calibration: those of a new classifier."""
        self.label_names, self.temperature = generic_label_names(self.num_classes), 1.0

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recomputes activations in backward instead of keeping them."""
        self.grad_checkpointing = enable

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """Returns the last map and the maps of some stages.

        Args:
            x: Images (N, in_chans, H, W).
            indices: Which stages, all by default; a number means the last ones.
            norm: Has no effect: there is no final norm.
            stop_early: Skips the stages after the last one asked for.
            output_fmt: Only ``"NCHW"``.
            intermediates_only: Leaves the last map out.

        Raises:
            ValueError: For another ``output_fmt``.
        """
        if output_fmt != "NCHW":
            raise ValueError(f"output_fmt must be 'NCHW', not {output_fmt!r}")
        taken, deepest = feature_take_indices(len(self.feature_info), indices)
        stages = self.stages[: deepest + 1] if stop_early else self.stages
        maps = []
        for i, stage in enumerate(stages):
            x = checkpoint(stage, x) if self.grad_checkpointing else stage(x)
            if i in taken:
                maps.append(x)
        return maps if intermediates_only else (x, maps)

    def prune_intermediate_layers(
        self,
        indices: int | list[int] = 1,
        prune_norm: bool = False,
        prune_head: bool = True,
    ) -> list[int]:
        """Drops the stages after the last one asked for, and the head.

        Args:
            indices: As for :meth:`forward_intermediates`.
            prune_norm: Has no effect: there is no final norm.
            prune_head: Drops the head even if all stages stay.

        Returns:
            The indices of the stages, counted from the first.
        """
        taken, deepest = feature_take_indices(len(self.feature_info), indices)
        if deepest + 1 < len(self.stages):
            self.stages, prune_head = self.stages[: deepest + 1], True
            self.num_features = self.feature_info[deepest]["num_chs"]
        if prune_head:
            self.reset_classifier(0, "")
            self.head.hidden = nn.Sequential()
            self.head_hidden_size = self.num_features
        return list(taken)

    def group_matcher(self, coarse: bool = False) -> dict[str, object] | Callable[[str], float]:
        """Returns how parameters form layers, from the image to the head."""
        pattern = r"^stages\.(\d+)" if coarse else r"^stages\.(\d+)\.(\d+)"
        return {"stem": r"^stages\.0\.0", "blocks": pattern}
