"""Reads any image as an upright 8-bit PIL image in mode L or RGB."""

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from fer_zoo.errors import ImageError

if TYPE_CHECKING:
    from torch import Tensor

    #: What :func:`read_image` reads.
    ImageLike = str | Path | Image.Image | NDArray[np.generic] | Tensor

#: What shows through transparent pixels: mid-gray is nearest to the mean of the training faces.
BACKGROUND = (128, 128, 128, 255)


def read_image(source: "ImageLike") -> Image.Image:
    """Reads an image from wherever it is.

    Files are turned upright by their EXIF orientation; of several frames the first counts.
    Transparent pixels show mid-gray; embedded colour profiles are ignored. The scale of pixels
    follows their type: 8 bits as they are; 16 bits from 0..65535 to 0..255; floats from [0, 1] to
    0..255; other integers must lie in 0..255; booleans are black and white.

    Args:
        source: A path, a PIL image, an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), or a
            tensor (H, W), (1, H, W), (3, H, W) or (4, H, W); the fourth channel is alpha.

    Returns:
        An image in mode L or RGB.

    Raises:
        ImageError: If the file is no image, is damaged or is too large to be one, or the pixels
            have a shape or a scale that could mean several things.
    """
    if isinstance(source, (str, Path)):
        return _read_file(Path(source))
    if isinstance(source, Image.Image):
        return _eight_bits(source, "the image")
    if _is_tensor(source):
        return _from_array(_channels_last(source), "the tensor")
    if isinstance(source, np.ndarray):
        return _from_array(source, "the array")
    raise ImageError(
        f"cannot read an image from {type(source).__name__}; give a path, PIL image, numpy array "
        "(H, W) or (H, W, 3), or torch tensor (H, W) or (3, H, W)"
    )


def _read_file(path: Path) -> Image.Image:
    if not path.is_file():
        raise ImageError(f"{path}: {'a folder' if path.is_dir() else 'no such file'}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd metadata does not matter here
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            # given a name, Pillow 13.0 maps gray TIFFs into memory and garbles rotated ones
            with path.open("rb") as file, Image.open(file) as image:
                return _eight_bits(image, str(path))
        except ImageError:
            raise
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise ImageError(
                f"{path}: {error}; if it is genuine, shrink it or raise PIL.Image.MAX_IMAGE_PIXELS"
            ) from error
        except UnidentifiedImageError as error:
            raise ImageError(f"{path}: no image that Pillow reads") from error
        except Exception as error:  # decoders of damaged files raise nearly anything
            raise ImageError(f"{path}: damaged image: {error}") from error


def _eight_bits(image: Image.Image, name: str) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if not image.width or not image.height:
        raise ImageError(f"{name} has no pixels")
    if image.mode.startswith(("I", "F")):
        pixels = np.asarray(image)
        if image.mode == "I":
            if pixels.min() < 0 or pixels.max() > 65535:
                raise ImageError(f"{name} has 32-bit pixels outside 0..65535; scale them to 8 bits")
            pixels = pixels.astype(np.uint16)
        return Image.fromarray(_scaled(pixels, name))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, BACKGROUND), image)
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _is_tensor(source: object) -> "TypeGuard[Tensor]":
    torch = sys.modules.get("torch")  # who has a tensor has imported torch
    return torch is not None and isinstance(source, torch.Tensor)


def _channels_last(tensor: "Tensor") -> NDArray[np.generic]:
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor.float()
    if tensor.ndim == 3:
        if tensor.shape[0] not in (1, 3, 4):
            raise ImageError(
                f"a tensor of shape {tuple(tensor.shape)} is no image: channels come first in "
                "torch, (1, H, W) or (3, H, W)"
            )
        tensor = tensor.permute(1, 2, 0)
    array: NDArray[np.generic] = tensor.numpy()
    return array


def _from_array(pixels: NDArray[np.generic], name: str) -> Image.Image:
    shape = pixels.shape
    if pixels.ndim == 4:
        raise ImageError(f"{name} of shape {shape} is a batch; give list(batch)")
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and shape[2] not in (1, 3, 4)):
        raise ImageError(
            f"{name} of shape {shape} is no image: give (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"
        )
    if not pixels.size:
        raise ImageError(f"{name} of shape {shape} has no pixels")
    if pixels.ndim == 3 and shape[2] == 1:
        pixels = pixels[:, :, 0]
    return _eight_bits(Image.fromarray(np.ascontiguousarray(_scaled(pixels, name))), name)


def _scaled(pixels: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Brings pixels of any type to 0..255, or says why that cannot be told."""
    kind = pixels.dtype.kind
    if pixels.dtype == np.uint8:
        return pixels
    if kind not in "biuf":
        raise ImageError(f"{name} has {pixels.dtype} pixels; convert to uint8 (0..255)")
    low, high = pixels.min(), pixels.max()
    if kind == "b":
        return pixels.astype(np.uint8) * np.uint8(255)
    if kind == "f":
        if not (low >= 0 and high <= 1):  # also true of nan
            raise ImageError(
                f"{name} has float pixels in [{low:.4g}, {high:.4g}], expected [0, 1]; divide by "
                "255, or undo the normalisation, or convert to uint8"
            )
        return np.rint(pixels * 255.0).astype(np.uint8)
    if kind == "u" and pixels.itemsize == 2:  # of either byte order
        if 0 < high <= 255:
            raise ImageError(
                f"{name} has 16-bit pixels no larger than {high}: almost black, or 8-bit values; "
                "convert to uint8 if they are, else multiply to fill 0..65535"
            )
        return np.rint(pixels / 257.0).astype(np.uint8)
    if low < 0 or high > 255:
        raise ImageError(
            f"{name} has {pixels.dtype} pixels in [{low}, {high}]; convert to uint8 (0..255) or "
            "uint16 (0..65535)"
        )
    return pixels.astype(np.uint8)
