"""Plain convolutional networks: stages one after the other, then a head."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from timm.models import checkpoint_seq
from timm.models._features import feature_take_indices
from torch import Tensor, nn

from fer_zoo.layers import ClassifierHead
from fer_zoo.models._surface import HeadedModel


def conv_layer(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 3,
    stride: int = 1,
    padding: int | None = None,
    norm: bool = True,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> nn.Sequential:
    """Returns convolution, batch normalisation (if asked for) and ReLU.

    Args:
        in_channels: Channels of the input map.
        out_channels: Channels of the output map.
        kernel_size: Side of the kernel.
        stride: Stride of the convolution.
        padding: Zeros around the map; half the kernel where not given.
        norm: Whether to normalise; otherwise the convolution has a bias.
        device: Where the parameters are.
        dtype: Type of the parameters.
    """
    conv = nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        stride,
        kernel_size // 2 if padding is None else padding,
        bias=not norm,
        device=device,
        dtype=dtype,
    )
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    layers: OrderedDict[str, nn.Module] = OrderedDict(conv=conv)
    if norm:
        layers["bn"] = nn.BatchNorm2d(out_channels, device=device, dtype=dtype)
    layers["act"] = nn.ReLU()
    return nn.Sequential(layers)


class StagedConvNet(HeadedModel):
    """Convolutional stages and a classifier head.

    Args:
        stages: The stages, each a sequence of layers.
        channels: Channels that each stage gives.
        reductions: Stride of each stage's output against the image.
        num_classes: Logits; 0 gives features.
        **head_args: Arguments of :class:`fer_zoo.layers.ClassifierHead`.

    Shape:
        (N, in_chans, H, W) -> (N, num_classes)

    Example:
        >>> import torch
        >>> from fer_zoo.models._staged import StagedConvNet, conv_layer
        >>> net = StagedConvNet([conv_layer(1, 8, stride=2)], (8,), (2,), num_classes=7)
        >>> net(torch.randn(2, 1, 48, 48)).shape
        torch.Size([2, 7])
    """

    def __init__(
        self,
        stages: Sequence[nn.Sequential],
        channels: Sequence[int],
        reductions: Sequence[int],
        num_classes: int,
        **head_args: Any,
    ) -> None:
        super().__init__()
        self.stages = nn.Sequential(*stages)
        self.feature_info = [
            {"num_chs": c, "reduction": r, "module": f"stages.{i}"}
            for i, (c, r) in enumerate(zip(channels, reductions, strict=True))
        ]
        head = ClassifierHead(channels[-1], num_classes, **head_args)
        self._set_head(head, channels[-1], num_classes)

    def forward_features(self, x: Tensor) -> Tensor:
        """Returns the last map, (N, num_features, H', W')."""
        for stage in self.stages:
            x = self._run(stage, x)
        return x

    def _run(self, stage: nn.Module, x: Tensor) -> Tensor:
        if self.grad_checkpointing and self.training:
            x = checkpoint_seq(stage, x)
        else:
            x = stage(x)
        return x

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
            norm: Ignored: there is no final norm.
            stop_early: Whether to skip the stages after the last one asked for.
            output_fmt: Only ``"NCHW"``.
            intermediates_only: Leaves the last map out.

        Raises:
            ValueError: For another ``output_fmt``.
        """
        if output_fmt != "NCHW":
            raise ValueError(f"output_fmt must be 'NCHW', not {output_fmt!r}")
        taken, deepest = feature_take_indices(len(self.feature_info), indices)
        maps = []
        for i, stage in enumerate(self.stages):
            if stop_early and i > deepest:
                break
            x = self._run(stage, x)
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
            prune_norm: Ignored: there is no final norm.
            prune_head: Whether to drop the head even if all stages stay.

        Returns:
            The indices of the stages, counted from the first.
        """
        taken, deepest = feature_take_indices(len(self.feature_info), indices)
        taken = list(taken)
        if deepest + 1 < len(self.stages):
            self.stages = self.stages[: deepest + 1]
            self.num_features = self.head_hidden_size = self.feature_info[deepest]["num_chs"]
            prune_head = True
        if prune_head:
            self.reset_classifier(0, "")
            self.head.hidden = nn.Sequential()
        return taken

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Returns how parameters form layers, from the image to the head."""
        pattern = r"^stages\.(\d+)" if coarse else r"^stages\.(\d+)\.(\d+)"
        return {"stem": r"^stages\.0\.0", "blocks": pattern}
