"""One preprocessing for every client: from an image of any size to a model's input.

Images and arrays are handled by Pillow and numpy, tensors by torch, with the same result to the
bit. This module imports no torch: it serves runtimes that have none.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fer_zoo.errors import ConfigError, ImageError

if TYPE_CHECKING:
    from torch import Tensor

_CROP_MODES = ("squash", "center")


def _bicubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.abs(x)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.where(x < 1, near, np.where(x < 2, far, 0))


#: Pillow's filters of the distance x in pixels, with the distance where each ends.
_FILTERS: dict[str, tuple[Callable[[NDArray[np.float64]], NDArray[np.float64]], float]] = {
    "nearest": (np.ones_like, 0.0),
    "box": (lambda x: ((x > -0.5) & (x <= 0.5)).astype(np.float64), 0.5),
    "bilinear": (lambda x: (1 - np.abs(x)).clip(0), 1.0),
    "hamming": (lambda x: np.sinc(x) * (0.54 + 0.46 * np.cos(np.pi * x)), 1.0),
    "bicubic": (_bicubic, 2.0),
    "lanczos": (lambda x: np.sinc(x) * np.sinc(x / 3), 3.0),
}

#: The names of the interpolations.
INTERPOLATIONS = tuple(_FILTERS)


@dataclass(frozen=True)
class Preprocessing:
    """How a model wants its input: gray, cropped, resized, scaled to [0, 1], normalised.

    Args:
        size: Height and width of the input in pixels.
        mean: Mean per channel, of pixels scaled to [0, 1]; as many as the input has channels, all
            of which get the same gray face.
        std: Standard deviation per channel.
        interpolation: Filter of resizing: nearest, box, bilinear, hamming, bicubic or lanczos.
        crop_mode: ``"squash"`` resizes the whole image to ``size``, whatever its shape;
            ``"center"`` takes the largest part in its middle that has the shape of ``size``.
        crop_pct: Share of that part's sides that is kept, in (0, 1].

    Raises:
        ConfigError: If a value cannot be meant.

    Example:
        >>> prepare = Preprocessing((48, 48), mean=(0.5,), std=(0.25,))
        >>> prepare(Image.new("RGB", (640, 480))).shape
        (1, 48, 48)
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bilinear"
    crop_mode: str = "squash"
    crop_pct: float = 1.0

    def __post_init__(self) -> None:
        for name in ("size", "mean", "std"):  # lists, where they come from json
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if len(self.size) != 2 or not all(type(v) is int and v > 0 for v in self.size):
            raise ConfigError(f"size is {self.size}; give height and width in pixels")
        if not self.mean or len(self.mean) != len(self.std) or min(self.std) <= 0:
            raise ConfigError(
                f"mean {self.mean} and std {self.std} need one number per channel, std above 0"
            )
        if self.interpolation not in INTERPOLATIONS:
            raise ConfigError(
                f"unknown interpolation {self.interpolation!r}; there are "
                f"{', '.join(INTERPOLATIONS)}"
            )
        if self.crop_mode not in _CROP_MODES or not 0 < self.crop_pct <= 1:
            raise ConfigError(
                f"crop_mode is {self.crop_mode!r}, crop_pct {self.crop_pct}; expected "
                f"{' or '.join(_CROP_MODES)}, and a share in (0, 1]"
            )

    @classmethod
    def from_cfg(cls, cfg: Mapping[str, Any]) -> "Preprocessing":
        """Reads what a model's ``pretrained_cfg`` says.

        Raises:
            ConfigError: If it lacks what is needed, or a value cannot be meant.
        """
        missing = [key for key in ("input_size", "mean", "std") if not cfg.get(key)]
        if missing:
            raise ConfigError(
                f"the config lacks {', '.join(missing)}; give a model of fer_zoo or its "
                "pretrained_cfg"
            )
        channels, *size = cfg["input_size"]
        mean, std = tuple(cfg["mean"]), tuple(cfg["std"])
        if not len(mean) == len(std) == channels:
            raise ConfigError(f"{channels} channels, but mean is {mean} and std {std}")
        optional = {
            key: cfg[key] for key in ("interpolation", "crop_mode", "crop_pct") if cfg.get(key)
        }
        return cls(cast(tuple[int, int], tuple(size)), mean, std, **optional)

    @classmethod
    def from_json(cls, text: str) -> "Preprocessing":
        """Reads what :meth:`to_json` wrote.

        Raises:
            ConfigError: If it is no such text.
        """
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"no preprocessing: {error}") from error

    def to_json(self) -> str:
        """Returns all values as a JSON object."""
        return json.dumps(asdict(self))

    @property
    def in_chans(self) -> int:
        """Channels of the input."""
        return len(self.mean)

    def box(self, height: int, width: int) -> tuple[float, float, float, float]:
        """Returns which part of an image is used: x0, y0, x1, y1 in pixels."""
        used_height, used_width = float(height), float(width)
        if self.crop_mode == "center":
            scale = min(height / self.size[0], width / self.size[1])
            used_height, used_width = scale * self.size[0], scale * self.size[1]
        used_height, used_width = self.crop_pct * used_height, self.crop_pct * used_width
        x0, x1 = _middle(used_width, width)
        y0, y1 = _middle(used_height, height)
        return x0, y0, x1, y1

    def resize(self, image: "Image.Image | NDArray[np.uint8]") -> NDArray[np.uint8]:
        """Returns the gray face of an image.

        Args:
            image: A PIL image of any mode, or uint8 pixels (H, W) or (H, W, 3).

        Returns:
            uint8 (height, width).

        Raises:
            ImageError: If pixels are not of that kind.
        """
        if isinstance(image, np.ndarray):
            if image.dtype != np.uint8 or image.ndim not in (2, 3) or 0 in image.shape:
                raise ImageError(
                    f"{image.dtype} pixels {image.shape}: give uint8 (H, W) or (H, W, 3), or what "
                    "fer_zoo.images.read_image makes of them"
                )
            image = Image.fromarray(image)
        gray = image if image.mode == "L" else image.convert("L")
        x0, y0, x1, y1 = self.box(gray.height, gray.width)
        height, width = self.size
        resample = Image.Resampling[self.interpolation.upper()]
        # rows first, then columns: which of them Pillow resizes first depends on its version
        gray = gray.resize((width, gray.height), resample, (x0, 0, x1, gray.height))
        gray = gray.resize((width, height), resample, (0, y0, width, y1))
        return np.asarray(gray)

    def __call__(self, image: "Image.Image | NDArray[np.uint8]") -> NDArray[np.float32]:
        """Returns the input (in_chans, height, width) for one image; see :meth:`resize`."""
        pixels = self.resize(image).astype(np.float32) / np.float32(255)
        channels = zip(self.mean, self.std, strict=True)
        return np.stack([(pixels - np.float32(m)) / np.float32(s) for m, s in channels])

    def tensor(self, faces: "Tensor", size: tuple[int, int] | None = None) -> "Tensor":
        """Returns the input for a batch of stored faces, on their device.

        Args:
            faces: uint8 gray faces (N, H, W).
            size: Height and width where they are not those of the model.

        Returns:
            Float (N, in_chans, height, width).
        """
        return self.normalize(self.resize_tensor(faces, size or self.size).float() / 255)

    def normalize(self, pixels: "Tensor") -> "Tensor":
        """Turns pixels in [0, 1], (N, H, W), into input (N, in_chans, H, W)."""
        import torch

        # plain numbers: a tensor of them would have to be copied to a GPU, which waits for it
        channels = zip(self.mean, self.std, strict=True)
        return torch.stack([(pixels - m) / s for m, s in channels], dim=1)

    def resize_tensor(self, faces: "Tensor", size: tuple[int, int]) -> "Tensor":
        """Crops and resizes faces (N, H, W) as :meth:`resize` does; whole numbers in 0..255."""
        height, width = faces.shape[-2:]
        x0, y0, x1, y1 = self.box(height, width)
        for dim, (length, start, end, out) in {
            -1: (width, x0, x1, size[1]),
            -2: (height, y0, y1, size[0]),
        }.items():
            if (start, end, out) != (0, length, length):
                matrix = _weights(length, start, end, out, self.interpolation)
                faces = _resample(faces, dim, matrix)
        return faces


def _middle(part: float, whole: int) -> tuple[float, float]:
    """Returns start and end of a part in the middle, as the 32-bit numbers that Pillow takes."""
    start, end = np.float32((whole - part) / 2), np.float32((whole + part) / 2)
    return max(float(start), 0.0), min(float(end), float(whole))


def _resample(faces: "Tensor", dim: int, matrix: NDArray[np.float64]) -> "Tensor":
    import torch

    exact = torch.float32 if faces.device.type == "mps" else torch.float64
    weights = torch.from_numpy(matrix).to(faces.device, exact)  # (out, in)
    pixels = faces.to(exact)
    pixels = pixels @ weights.T if dim == -1 else weights @ pixels
    return (pixels + 0.5).floor().clamp(0, 255)


@cache
def _weights(length: int, start: float, end: float, out: int, name: str) -> NDArray[np.float64]:
    """Returns how much of each of ``length`` pixels goes into each of ``out``.

    The numbers are Pillow's to the last bit: its corners have 32 bits, its weights 22 binary
    places.
    """
    function, support = _FILTERS[name]
    scale = float(np.float32(end) - np.float32(start)) / out
    center = start + (np.arange(out) + 0.5) * scale
    at = np.arange(length)
    if name == "nearest":
        steps = np.add.accumulate([start + 0.5 * scale, *[scale] * (out - 1)])
        nearest = steps.astype(np.int64).clip(0, length - 1)
        one: NDArray[np.float64] = np.where(at == nearest[:, None], 1.0, 0.0)
        return one
    stretch = max(scale, 1.0)  # enlarging interpolates, shrinking averages
    reach = support * stretch
    low = np.trunc(center - reach + 0.5).clip(0)
    high = np.trunc(center + reach + 0.5).clip(max=length)
    inside = (at >= low[:, None]) & (at < high[:, None])
    weights = function((at + 0.5 - center[:, None]) * (1 / stretch)) * inside
    shares = weights / weights.sum(axis=1, keepdims=True)
    rounded: NDArray[np.float64] = np.trunc(shares * 2**22 + np.copysign(0.5, shares)) / 2**22
    return rounded


def preprocessing_of(model_or_cfg: object) -> Preprocessing:
    """Returns the preprocessing of a model, or of its ``pretrained_cfg``.

    Raises:
        ConfigError: If there is none.
    """
    cfg = model_or_cfg
    if not isinstance(cfg, Mapping):
        cfg = getattr(model_or_cfg, "pretrained_cfg", None) or {}
    return Preprocessing.from_cfg(cfg)


__all__ = ["INTERPOLATIONS", "Preprocessing", "preprocessing_of"]
