"""Reads any image as an upright 8-bit PIL image in mode L or RGB."""

import io
import math
import threading
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from fer_zoo.errors import ConfigError, ImageError, ImageTooLargeError
from fer_zoo.images.names import formats, way_out
from fer_zoo.images.pixels import as_pixels, brightest, check_bits, is_tensor, to_eight_bits
from fer_zoo.images.sources import Encoded, is_encoded, read_bytes

if TYPE_CHECKING:
    from torch import Tensor

    #: What :func:`read_image` reads.
    ImageLike = Encoded | Image.Image | NDArray[np.generic] | Tensor

#: What shows through transparent pixels: mid-gray is nearest to the mean of the training faces.
BACKGROUND = (128, 128, 128, 255)
#: The most pixels that an image may have; larger ones are refused before they fill the memory.
MAX_PIXELS = 200_000_000
#: Images of more pixels are read at a lower resolution.
FULL_PIXELS = 40_000_000
_REDUCIBLE = ("L", "RGB", "CMYK", "YCbCr")
#: Formats whose further frames are no pictures of their own: depth, layers, thumbnails.
_ONE_PICTURE = ("HEIF", "MPO", "PSD")
_open_lock = threading.Lock()


@dataclass(frozen=True)
class Picture:
    """An image, perhaps at a lower resolution than where it came from.

    Args:
        image: The image, upright, in mode L or RGB.
        size: Width and height in pixels at the full resolution, upright.
        animated: Whether its file has more frames; the first is taken.
    """

    image: Image.Image
    size: tuple[int, int]
    animated: bool = False

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels of the full resolution in a pixel of ``image``, across and down."""
        return self.size[0] / self.image.width, self.size[1] / self.image.height


def read_image(
    source: "ImageLike",
    *,
    color: str = "rgb",
    bits: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Image.Image:
    """Reads an image from wherever it is.

    Images are turned upright by their EXIF orientation. Of a file with several frames the first is
    taken, of a PIL image the one that it is at. Transparent pixels show mid-gray; embedded colour
    profiles are ignored. The scale of pixels follows their type: 8 bits as they are; 16 bits from
    0..65535 to 0..255; floats from [0, 1] to 0..255; other integers must lie in 0..255; booleans
    are black and white. What could have another scale is refused: 16-bit pixels of 10, 12 or 14
    bits (give ``bits``), floats in 0..255 or -1..1, integers of 0 and 1 only. The few brightest
    pixels do not count in this. An image of more than ``FULL_PIXELS`` pixels is read at half the
    resolution or less.

    Args:
        source: A path, an http or https URL, a data URI with base64, bytes, an open file, a PIL
            image, an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), or a tensor (H, W),
            (1, H, W), (3, H, W) or (4, H, W); the fourth channel is alpha.
        color: Order of the channels of arrays and tensors: ``"rgb"``, or ``"bgr"`` as OpenCV has
            them.
        bits: How many bits integer pixels of more than 8 bits have, from 8 to 16.
        max_pixels: The most pixels that it may have.

    Returns:
        An image in mode L or RGB.

    Raises:
        ImageError: If the source is no image, is damaged or is too large to be one, or the pixels
            have a shape or a scale that could mean several things.
        ConfigError: If ``color``, ``bits`` or ``max_pixels`` cannot be meant.
    """
    return read_picture(source, color=color, bits=bits, max_pixels=max_pixels).image


def read_picture(
    source: "ImageLike",
    *,
    color: str = "rgb",
    bits: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Picture:
    """Reads an image with its size at full resolution; see :func:`read_image`."""
    check_options(color, bits, max_pixels)
    if is_encoded(source):
        return _decode(*read_bytes(source), bits, max_pixels)  # type: ignore[arg-type]
    if not isinstance(source, (Image.Image, np.ndarray)) and not is_tensor(source):
        raise ImageError(
            f"cannot read an image from {type(source).__name__}; give a path, URL, bytes, an open "
            "file, PIL image, numpy array (H, W) or (H, W, 3), or torch tensor (H, W) or (3, H, W)"
        )
    name = "the image" if isinstance(source, Image.Image) else "the array"
    name = "the tensor" if is_tensor(source) else name
    try:
        if isinstance(source, Image.Image):
            return _picture(source, name, bits, max_pixels)
        pixels = as_pixels(source, name, color, bits)
        _check_size(pixels.shape[1], pixels.shape[0], name, max_pixels)
        image = _eight_bits(Image.fromarray(pixels), name, bits)
        return Picture(image, image.size)
    except ImageError:
        raise
    except Exception as error:  # its file may be damaged or closed
        raise ImageError(f"{name} cannot be read: {error or type(error).__name__}") from error


def check_options(color: str, bits: int | None, max_pixels: int) -> None:
    """Refuses options of :func:`read_image` that cannot be meant.

    Raises:
        ConfigError: If one cannot be meant.
    """
    check_bits(bits)
    if color not in ("rgb", "bgr"):
        raise ConfigError(f"color is {color!r}; expected 'rgb' or 'bgr'")
    if type(max_pixels) is not int or max_pixels < 1:
        raise ConfigError(
            f"max_pixels is {max_pixels!r} (--max-pixels); it must be a whole number from 1"
        )


def open_image(data: bytes) -> Image.Image:
    """Opens an image of any size: ``max_pixels`` takes the place of Pillow's own bound."""
    with _open_lock:  # only the header is read
        bound, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            # given a name, Pillow 13.0 maps gray TIFFs into memory and garbles rotated ones
            return Image.open(io.BytesIO(data), formats=formats())
        finally:
            Image.MAX_IMAGE_PIXELS = bound


def _decode(data: bytes, name: str, bits: int | None, max_pixels: int) -> Picture:
    try:
        with open_image(data) as image:
            animated = getattr(image, "is_animated", False) and image.format not in _ONE_PICTURE
            return replace(_picture(image, name, bits, max_pixels, True), animated=animated)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        ending = PurePath(name).suffix.lower()
        heif = data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1")
        hint = way_out([".heic" if heif else ending])
        raise ImageError(f"{name}: no image that Pillow reads{hint}") from error
    except Exception as error:  # decoders of damaged files raise nearly anything
        raise ImageError(f"{name}: damaged image: {error}") from error


def _picture(
    image: Image.Image, name: str, bits: int | None, max_pixels: int, ours: bool = False
) -> Picture:
    """Returns an opened image; one that is ours is not decoded at more than is needed of it."""
    width, height = image.size
    _check_size(width, height, name, max_pixels)
    factor = math.ceil(math.sqrt(width * height / FULL_PIXELS))
    if factor > 1 and ours:  # a JPEG is decoded at a lower resolution, others are shrunk
        image.draft(None, (width // factor, height // factor))
    upright = _upright(image, name, bits)
    turned = (upright.width > upright.height) != (width > height) and width != height
    return Picture(upright, (height, width) if turned else (width, height))


def _check_size(width: int, height: int, name: str, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageTooLargeError(
            f"{name}: {width}x{height} pixels are more than {max_pixels:,}; shrink it; or, to "
            "predict, raise max_pixels (fer-zoo predict --max-pixels)"
        )


def _upright(image: Image.Image, name: str, bits: int | None) -> Image.Image:
    """Returns an opened image with ``FULL_PIXELS`` pixels or fewer, upright, in mode L or RGB."""
    raw = _raw_modes(image)  # known until the pixels are read
    deep = ";16" in raw and not image.mode.startswith("I")  # Pillow keeps the upper 8 of 16 bits
    if deep and bits not in (None, 16):
        raise ImageError(_deep_colours(name))
    if image.mode == "I;16" and bits is None and "I;12" in raw:
        bits = 12
    image.load()
    upright = _shrunk(_eight_bits(_shrunk(image), name, bits))
    if deep and 0 < brightest(np.asarray(upright)) <= 63:
        raise ImageError(_deep_colours(name))
    return upright


def _shrunk(image: Image.Image) -> Image.Image:
    """Returns an image with ``FULL_PIXELS`` pixels or fewer, where its mode can be averaged."""
    factor = math.ceil(math.sqrt(image.width * image.height / FULL_PIXELS))
    if factor <= 1 or image.mode not in _REDUCIBLE or image.has_transparency_data:
        return image
    small = image.reduce(factor)
    small.info = image.info  # with the orientation
    return small


def _raw_modes(image: Image.Image) -> str:
    return " ".join(str(tile[3]) for tile in getattr(image, "tile", ()))


def _deep_colours(name: str) -> str:
    return (
        f"{name} has colours of 16 bits of which few are used, and Pillow reads only the upper 8; "
        "convert it to 8 bits, or read it with OpenCV (cv2.imread(path, cv2.IMREAD_UNCHANGED)) and "
        "give the array with color='bgr' and its bits"
    )


def _eight_bits(image: Image.Image, name: str, bits: int | None) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if not image.width or not image.height:
        raise ImageError(f"{name} has no pixels")
    if image.mode.startswith(("I", "F")):
        pixels = np.asarray(image)
        if image.mode == "I":
            if pixels.min() < 0 or pixels.max() > 65535:
                raise ImageError(f"{name} has 32-bit pixels outside 0..65535; scale them to 8 bits")
            pixels = pixels.astype(np.uint16)
        return Image.fromarray(to_eight_bits(pixels, name, bits))
    if image.has_transparency_data:
        if image.mode == "La":  # Pillow goes to colours only by this way
            image = image.convert("LA")
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, BACKGROUND), image)
    mode = "L" if image.mode in ("1", "L") else "RGB"
    return image if image.mode == mode else image.convert(mode)
