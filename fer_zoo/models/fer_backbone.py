"""Any image model of timm as the body of a classifier of faces."""

import difflib
import math
from collections.abc import Callable
from typing import Any

import timm
from timm.models import generate_default_cfgs, register_model
from timm.models._manipulate import group_parameters
from torch import Tensor, nn

from fer_zoo.errors import ConfigError, UnknownModelError
from fer_zoo.models._build import PREFIX, build, default_cfg
from fer_zoo.models.face_model import FaceModel, FeatureInfo

#: The backbone where none is named, and the side of its last map.
DEFAULT, POOL_SIZE = "resnet18", (2, 2)
default_cfgs = generate_default_cfgs(
    {"fer_backbone": default_cfg(first_conv="net.conv1", classifier="fc", pool_size=POOL_SIZE)}
)


def create_backbone(name: str, img_size: int | tuple[int, int], **kwargs: Any) -> Any:
    """Creates a model of timm; those that are built for one size are built for this one.

    Args:
        name: timm's name of the model, or where timm finds it (``hf-hub:...``).
        img_size: Side in pixels, or height and width.
        **kwargs: Arguments of ``timm.create_model``.
    """
    try:
        return timm.create_model(name, img_size=img_size, **kwargs)
    except TypeError as error:  # a convolutional network takes any size
        if "'img_size'" not in str(error):
            raise
        return timm.create_model(name, **kwargs)


def check_backbone(name: str) -> None:
    """Refuses what is no model of timm.

    Raises:
        UnknownModelError: If timm has no such model; the message offers the closest.
    """
    if timm.is_model(name) and not name.startswith(PREFIX) and "." not in name:
        return
    known = [model for model in timm.list_models() if not model.startswith(PREFIX)]
    arch, _, tag = name.partition(".")
    if name.startswith(PREFIX):
        hint = f"{name} is a model of fer_zoo: train it by its name"
    elif tag and arch in known:
        hint = f"give {arch}, and its weights by --pretrained-backbone timm/{name}"
    else:
        close = difflib.get_close_matches(arch, known, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(close)}?" if close else "timm.list_models() has all"
    raise UnknownModelError(f"no backbone {name!r} in timm; {hint}")


class Backbone(FaceModel):
    """An image model of timm, its own pooling, dropout, and a linear classifier.

    Preprocessing is that of every model here: gray faces with the mean and standard deviation of
    the training faces, whatever the backbone was pretrained with. What a backbone of timm lacks,
    such as other sizes than ``img_size`` (some transformers), TorchScript, or maps of
    ``forward_intermediates``, it lacks here too. The contract of fer_zoo's models is tested with
    ``resnet18``.

    Args:
        num_classes: Logits; 0 gives features.
        in_chans: Input channels.
        backbone: timm's name of the model, without the tag of weights.
        img_size: Size in pixels that a backbone of one size is built for.
        global_pool: timm's name of the pooling; the backbone's own by default.
        drop_rate: Dropout before the classifier.
        **kwargs: Arguments of the backbone, such as ``drop_path_rate``.

    Raises:
        UnknownModelError: If timm has no such model.
        ConfigError: If it does not begin with a convolution of the image.

    Shape:
        (N, in_chans, H, W) -> (N, num_classes)

    Example:
        >>> import torch
        >>> from fer_zoo.models import Backbone
        >>> Backbone(num_classes=7, backbone="test_resnet")(torch.randn(2, 1, 48, 48)).shape
        torch.Size([2, 7])
    """

    def __init__(
        self,
        num_classes: int = 7,
        in_chans: int = 1,
        backbone: str = DEFAULT,
        img_size: int | tuple[int, int] = 48,
        global_pool: str | None = None,
        drop_rate: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        check_backbone(backbone)
        self.net: Any = create_backbone(
            backbone, img_size, in_chans=in_chans, num_classes=0, global_pool=global_pool, **kwargs
        )
        first = next((m for m in self.net.modules() if isinstance(m, nn.Conv2d)), None)
        if first is None or first.in_channels != in_chans:
            raise ConfigError(
                f"{backbone} does not begin with a convolution of the image: take another backbone"
            )
        self.in_chans, self.num_features = in_chans, self.net.num_features
        self.head_hidden_size = self.net.head_hidden_size
        maps: list[FeatureInfo] = self.net.feature_info
        self.feature_info = [{**info, "module": f"net.{info['module']}"} for info in maps]
        self.drop = nn.Dropout(drop_rate)
        self._start_classifier(num_classes)

    def _start_classifier(self, num_classes: int) -> None:
        like = next(self.net.parameters())
        self.num_classes = num_classes
        self.fc: nn.Module = nn.Identity()
        if num_classes:
            self.fc = nn.Linear(
                self.head_hidden_size, num_classes, device=like.device, dtype=like.dtype
            )
            nn.init.normal_(self.fc.weight, std=0.01)
            nn.init.zeros_(self.fc.bias)
        self.fc.train(self.training)

    def forward_features(self, x: Tensor) -> Tensor:
        """Returns the backbone's last map or tokens, as timm gives them."""
        features: Tensor = self.net.forward_features(x)
        return features

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Returns the logits of features.

        Args:
            x: What :meth:`forward_features` returns.
            pre_logits: Returns what the classifier would see, (N, head_hidden_size).
        """
        x = self.net.forward_head(x, pre_logits=True)
        if self.num_classes or pre_logits:
            x = self.drop(x)
        return x if pre_logits else self.fc(x)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (N, num_classes)."""
        x = self.net(x)
        return self.fc(self.drop(x)) if self.num_classes else x

    def get_classifier(self, name_only: bool = False) -> nn.Module | str:
        """Returns the last linear layer, or its name."""
        return "fc" if name_only else self.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Starts a new classifier; see :meth:`FaceModel.reset_classifier`."""
        if global_pool is not None:
            self.net.reset_classifier(0, global_pool)
        self._start_classifier(num_classes)
        self.forget_labels()

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recomputes activations in backward instead of keeping them."""
        self.net.set_grad_checkpointing(enable)

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """Returns the backbone's intermediates, as timm gives them."""
        return self.net.forward_intermediates(
            x, indices=indices, norm=norm, stop_early=stop_early, output_fmt=output_fmt,
            intermediates_only=intermediates_only,
        )  # fmt: skip

    def prune_intermediate_layers(
        self,
        indices: int | list[int] = 1,
        prune_norm: bool = False,
        prune_head: bool = True,
    ) -> list[int]:
        """Drops what comes after the last map asked for, and the head; see timm."""
        taken: list[int] = self.net.prune_intermediate_layers(indices, prune_norm, prune_head)
        if prune_head or max(taken) < len(self.feature_info) - 1:
            self.num_features = self.head_hidden_size = self.feature_info[max(taken)]["num_chs"]
            self.reset_classifier(0, "")
        return taken

    def group_matcher(self, coarse: bool = False) -> Callable[[str], float]:
        """Returns the layer of a parameter, from the image to the classifier."""
        if not hasattr(self.net, "group_matcher"):
            raise ConfigError(
                "this backbone does not say how its layers are ordered: leave layer_decay at 1"
            )
        layers = group_parameters(self.net, self.net.group_matcher(coarse), reverse=True)
        return lambda name: layers.get(name.removeprefix("net."), math.inf)

    def no_weight_decay(self) -> set[str]:
        """Names the parameters that the backbone excludes from weight decay."""
        names: set[str] = getattr(self.net, "no_weight_decay", set)()
        return {f"net.{name}" for name in names}


@register_model
def fer_backbone(pretrained: bool = False, **kwargs: Any) -> FaceModel:
    """Any model of timm (`backbone`, ResNet-18 by default) with a linear classifier of faces."""
    name = kwargs.get("backbone") or DEFAULT
    overlay = kwargs.pop("pretrained_cfg_overlay", None) or {}
    if name != DEFAULT:
        check_backbone(name)
        first = timm.get_pretrained_cfg(name).first_conv
        if isinstance(first, str):
            first = f"net.{first}"
        elif first:
            first = tuple(f"net.{part}" for part in first)
        overlay = {"first_conv": first, "pool_size": None, **overlay}
    features = {"feature_cls": "getter"}
    return build(
        Backbone, "fer_backbone", pretrained, pretrained_cfg_overlay=overlay, feature_cfg=features,
        **kwargs,
    )  # fmt: skip


__all__ = ["Backbone", "check_backbone", "create_backbone", "fer_backbone"]
