"""Why a prediction may mean nothing although its picture could be read."""

import numpy as np
from numpy.typing import NDArray

from fer_zoo.images.pixels import brightest

#: A picture taken whole is doubted if its shorter side has more pixels, if it is so many times as
#: wide as high or as high as wide, or if it has the upright shape of cameras, 3:4, and so many
#: pixels in height or more. Faces of public data sets are smaller and nearly square, and boxes of
#: detectors are about 1.3 times as high as wide. docs/prediction.md has the rates of false alarms.
_LARGE, _WIDE, _HIGH, _UPRIGHT = 256, 1.2, 1.45, 200
#: A face whose gray values span fewer, or stay below, is doubted: 1 and 2 of 32,286 faces of
#: FER-2013 that are not blank.
_CONTRAST, _DARK = 32, 64

ANIMATED = (
    "the file has several frames, of which the first was taken; give the others as PIL images: "
    "[frame.copy() for frame in PIL.ImageSequence.Iterator(PIL.Image.open(path))]"
)


def doubt_shape(size: tuple[int, int]) -> str | None:
    """Says why a picture that was taken whole may be no cropped face.

    Args:
        size: Width and height in pixels.
    """
    width, height = size
    odd = width > _WIDE * height + 1 or height > _HIGH * width + 1
    camera = abs(3 * height - 4 * width) <= 2 and height >= _UPRIGHT  # 256x341 is shrunk 3:4
    found = "large" if min(size) > _LARGE else "not square" if odd or camera else None
    if found is None:
        return None
    return (
        f"the picture is {found} ({size[0]}x{size[1]}) and was taken as one cropped face; find the "
        "faces of a photograph with detect=True (--detect, or ?detect=true of the service)"
    )


def doubt_pixels(face: NDArray[np.uint8]) -> str | None:
    """Says why a face may show nothing; its few darkest and brightest pixels do not count.

    Args:
        face: Gray values (height, width).
    """
    low, high = 255 - int(brightest(255 - face)), int(brightest(face))
    if face.min() == face.max():
        return f"the face has one gray value only, {high}: it is blank, or fully transparent"
    if high - low < _CONTRAST:
        return f"the face has hardly any contrast: gray values {low} to {high} of 0 to 255"
    if high < _DARK:
        return f"the face is almost black: gray values {low} to {high} of 0 to 255"
    return None
