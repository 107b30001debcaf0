"""Arrays and tensors as 8-bit pixels: what their shape and scale mean, or that it is unclear."""

import sys
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from fer_zoo.errors import ConfigError, ImageError

if TYPE_CHECKING:
    from torch import Tensor

_CHANNELS = (1, 3, 4)
#: The largest 14-bit pixel. 16-bit pixels that stay below may have 10, 12 or 14 bits, and floats
#: may be such pixels that were divided by 65535: almost black as they are.
_FEW_BITS = 2**14 - 1
#: What is read of the brightest pixels: so few may be hot, and say nothing of the scale.
_HOT_SHARE = 0.001
#: How far floats may lie outside of [0, 1] by rounding, and by bicubic resizing.
_ROUNDING, _OVERSHOOT = 1e-3, 0.25
#: Faces of a batch have sides of so many pixels or more, one at most so many times the other.
_LEAST_SIDE, _LONGEST = 8, 4


def check_bits(bits: int | None) -> None:
    """Refuses numbers of bits that no pixel has.

    Raises:
        ConfigError: If ``bits`` is neither None nor a whole number from 8 to 16.
    """
    if bits is not None and (type(bits) is not int or not 8 <= bits <= 16):
        raise ConfigError(f"bits is {bits!r} (--bits); it must be a whole number from 8 to 16")


def is_tensor(source: object) -> "TypeGuard[Tensor]":
    """Says whether something is a torch tensor; does not import torch."""
    torch = sys.modules.get("torch")  # who has a tensor has imported torch
    return torch is not None and isinstance(source, torch.Tensor)


def as_array(pixels: "NDArray[np.generic] | Tensor", name: str) -> NDArray[np.generic]:
    """Returns the values of an array, or of a tensor of any device and float type.

    Args:
        pixels: An array or a tensor.
        name: What to call it in a message.

    Raises:
        ImageError: If it has no plain values: a masked array; a sparse, quantised, nested tensor,
            or one without storage.
    """
    if is_tensor(pixels):
        try:
            tensor = pixels.detach().cpu()
            if tensor.is_floating_point():
                tensor = tensor.float()
            array: NDArray[np.generic] = tensor.resolve_conj().resolve_neg().numpy()
        except Exception as error:  # each kind of tensor has errors of its own
            kind = f"{pixels.dtype}, {pixels.layout}, on {pixels.device}"
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise ImageError(
                f"{name} ({kind}) cannot be read: {reason}; give a plain dense tensor with values"
            ) from error
        return array
    if np.ma.is_masked(pixels):
        raise ImageError(f"{name} has masked pixels; say what shows there: x.filled(128)")
    return np.asarray(pixels)


def split_batch(pixels: "NDArray[np.generic] | Tensor") -> list[NDArray[np.generic]] | None:
    """Takes a batch apart.

    Args:
        pixels: Faces (N, H, W), (N, C, H, W) or (N, H, W, C), or one image.

    Returns:
        N images (H, W) or (H, W, C); None if it is one image.

    Raises:
        ImageError: If the shape can mean a batch and an image, or is that of no faces.
    """
    tensor = is_tensor(pixels)
    array = as_array(pixels, "the tensor" if tensor else "the array")
    shape = array.shape
    if len(shape) == 4:
        first, last = shape[1] in _CHANNELS, shape[3] in _CHANNELS
        if first == last:
            raise ImageError(
                f"a batch of shape {shape} has no clear channels: give (N, H, W), (N, C, H, W) or "
                "(N, H, W, C) with 1, 3 or 4 channels"
            )
        _check_faces(shape, shape[2:] if first else shape[1:3])
        return list(np.moveaxis(array, 1, 3) if first else array)
    if len(shape) != 3 or (tensor and shape[0] == 1):
        return None
    if shape[0] in (3, 4) and (tensor or shape[2] not in _CHANNELS or shape[2] == 1):
        picture = "[x]" if tensor else "x.transpose(1, 2, 0)"
        raise ImageError(
            f"shape {shape} is one colour picture or {shape[0]} gray faces: give {picture} for the "
            "picture, list(x) for the faces"
        )
    if shape[2] in _CHANNELS:  # one image, channels last; a tensor of this kind is refused later
        return None
    _check_faces(shape, shape[1:])
    return list(array)


def _check_faces(shape: tuple[int, ...], sides: tuple[int, ...]) -> None:
    """Refuses batches of what is no face, such as a picture of two or seven channels."""
    if shape[0] and (min(sides) < _LEAST_SIDE or max(sides) > _LONGEST * min(sides)):
        raise ImageError(
            f"shape {shape} would be {shape[0]} faces of {sides[0]}x{sides[1]}: give list(x) if "
            "it is, or one picture (H, W), (H, W, 3) or (H, W, 4), of gray with alpha x[:, :, 0]"
        )


def as_pixels(
    source: "NDArray[np.generic] | Tensor", name: str, color: str, bits: int | None
) -> NDArray[np.uint8]:
    """Returns one image as 8-bit pixels.

    Args:
        source: An array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), or a tensor with the channels
            first.
        name: What to call it in a message.
        color: Order of the channels, ``"rgb"`` or ``"bgr"``.
        bits: Bits of integer pixels of more than 8 bits, where they are not 16.

    Returns:
        Pixels (H, W), (H, W, 3) or (H, W, 4), red first.

    Raises:
        ImageError: If shape or scale can mean several things.
    """
    pixels = _channels_last(source, name) if is_tensor(source) else as_array(source, name)
    shape = pixels.shape
    if pixels.ndim == 4:
        raise ImageError(f"{name} of shape {shape} is a batch; give list(batch)")
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and shape[2] not in _CHANNELS):
        raise ImageError(
            f"{name} of shape {shape} is no image: give (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"
        )
    if not pixels.size:
        raise ImageError(f"{name} of shape {shape} has no pixels")
    if pixels.ndim == 3 and shape[2] == 1:
        pixels = pixels[:, :, 0]
    elif pixels.ndim == 3 and color == "bgr":
        pixels = pixels[:, :, [2, 1, 0, 3][: shape[2]]]
    return np.ascontiguousarray(to_eight_bits(pixels, name, bits))


def _channels_last(tensor: "Tensor", name: str) -> NDArray[np.generic]:
    array = as_array(tensor, name)
    shape = array.shape
    if array.ndim != 3:
        return array
    if shape[0] not in _CHANNELS:
        raise ImageError(
            f"a tensor of shape {shape} is no image: channels come first in torch, (1, H, W) or "
            "(3, H, W)"
        )
    return np.moveaxis(array, 0, 2)


def to_eight_bits(pixels: NDArray[Any], name: str, bits: int | None = None) -> NDArray[np.uint8]:
    """Brings pixels of any type to 0..255, or says why that cannot be told.

    The few brightest pixels may be faults of a sensor: they say nothing of the scale.

    Args:
        pixels: Values of any shape; of (H, W, 4) the fourth channel is alpha.
        name: What to call them in a message.
        bits: Bits of integer pixels of more than 8 bits, where they are not 16.

    Raises:
        ImageError: If their scale can mean several things.
    """
    kind = pixels.dtype.kind
    if kind == "b":
        return pixels.astype(np.uint8) * np.uint8(255)
    if kind not in "fiu":
        raise ImageError(f"{name} has {pixels.dtype} pixels; convert to uint8 (0..255)")
    colours = pixels[..., :3] if pixels.ndim == 3 else pixels
    if kind == "f":
        return _from_floats(pixels, colours, name)
    if colours.max() == 1:
        raise ImageError(
            f"{name} has {pixels.dtype} pixels of 0 and 1 only: floats in [0, 1] that were cut "
            "off, or a mask; give the floats, or convert to bool if it is black and white"
        )
    if pixels.dtype == np.uint8:
        return pixels
    low, high = int(pixels.min()), int(pixels.max())
    if bits is None:
        wide = kind == "u" and pixels.itemsize == 2  # of either byte order
        if wide:
            bits = _bits_of_sixteen(int(brightest(colours)), name)
        elif 0 <= low and high <= 255:
            bits = 8
        else:
            few = f"; or, to predict, say how many bits they have: bits={high.bit_length()}"
            raise ImageError(
                f"{name} has {pixels.dtype} pixels in [{low}, {high}]; convert to uint8 (0..255) "
                f"or uint16 (0..65535){few if low >= 0 and high < 2**16 else ''}"
            )
    white = 2**bits - 1
    if low < 0 or brightest(pixels) > white:
        raise ImageError(f"{name} has pixels in [{low}, {high}], but {bits} bits end at {white}")
    scaled: NDArray[np.uint8] = np.rint(pixels.clip(max=white) * (255 / white)).astype(np.uint8)
    return scaled


def brightest(pixels: NDArray[Any]) -> Any:
    """Returns the largest value, without the few that may be hot: 1 of 1,000, at least one."""
    few = min(max(1, int(_HOT_SHARE * pixels.size)), pixels.size - 1)
    return np.partition(pixels, -1 - few, axis=None)[-1 - few]


def _from_floats(pixels: NDArray[Any], colours: NDArray[Any], name: str) -> NDArray[np.uint8]:
    low, high = float(pixels.min()), float(pixels.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ImageError(f"{name} has non-finite pixels, expected [0, 1]; replace them")
    fix = None
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        fix = "divide by 255 if white is 255"
        if low < 0:
            fix = "undo the normalisation: (x + 1) / 2 of [-1, 1], else x * std + mean"
        if low > -_OVERSHOOT and high < 1 + _OVERSHOOT:
            fix = "cut off what resizing adds: x.clip(0, 1); or, if they were normalised, undo it"
    elif colours.max() > 0 and brightest(colours) <= 1.001 * _FEW_BITS / 65535:
        fix = "that is very dark: scale them so that white is 1"
    if fix:
        raise ImageError(
            f"{name} has float pixels in [{low:.4g}, {high:.4g}], expected [0, 1] with white at 1; "
            f"{fix}; or convert to uint8"
        )
    return np.rint(pixels.clip(0, 1) * 255.0).astype(np.uint8)


def _bits_of_sixteen(high: int, name: str) -> int:
    if 0 < high <= 255:
        raise ImageError(
            f"{name} has 16-bit pixels no larger than {high}: almost black, or 8-bit values; "
            "convert to uint8 if they are, else multiply to fill 0..65535"
        )
    if 0 < high <= _FEW_BITS:
        few = next(n for n in (10, 12, 14) if high < 2**n)
        raise ImageError(
            f"{name} has 16-bit pixels no larger than {high}: {few}-bit values, or very dark; "
            f"shift them to fill 0..65535: x << {16 - few}; or, to predict, say which: bits={few} "
            f"or bits=16 (fer-zoo predict --bits {few})"
        )
    return 16
