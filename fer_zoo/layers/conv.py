"""A convolution with what usually follows it."""

from collections import OrderedDict

import torch
from torch import nn


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
    """Returns convolution, batch normalisation and ReLU.

    Args:
        in_channels: Channels of the input map.
        out_channels: Channels of the output map.
        kernel_size: Side of the kernel.
        stride: Stride of the convolution.
        padding: Zeros around the map; half the kernel where not given.
        norm: Whether to normalise; otherwise the convolution has a bias.
        device: Where the parameters are.
        dtype: Type of the parameters.

    Example:
        >>> import torch
        >>> from fer_zoo.layers import conv_layer
        >>> conv_layer(1, 8, stride=2)(torch.randn(2, 1, 48, 48)).shape
        torch.Size([2, 8, 24, 24])
    """
    padding = kernel_size // 2 if padding is None else padding
    conv = nn.Conv2d(
        in_channels, out_channels, kernel_size, stride, padding,
        bias=not norm, device=device, dtype=dtype,
    )  # fmt: skip
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    layers: OrderedDict[str, nn.Module] = OrderedDict(conv=conv)
    if norm:
        layers["bn"] = nn.BatchNorm2d(out_channels, device=device, dtype=dtype)
    else:
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    layers["act"] = nn.ReLU()
    return nn.Sequential(layers)
