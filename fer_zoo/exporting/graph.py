"""What an exported file computes: faces in, calibrated probabilities out, in one graph."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fer_zoo.models import FaceModel
from fer_zoo.preprocessing import Preprocessing, preprocessing_of


def _bicubic(x: Tensor) -> Tensor:
    x = x.abs()
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * (x**3 - 5 * x**2 + 8 * x - 4)
    return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


def _sinc(x: Tensor) -> Tensor:
    angle = torch.pi * torch.where(x == 0, torch.full_like(x, 1e-20), x)
    return angle.sin() / angle


#: Pillow's filters of the distance x in pixels, with the distance where each ends.
_FILTERS: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "box": (lambda x: ((x > -0.5) & (x <= 0.5)).to(x.dtype), 0.5),
    "bilinear": (lambda x: (1 - x.abs()).clamp(min=0), 1.0),
    "hamming": (lambda x: _sinc(x) * (0.54 + 0.46 * (torch.pi * x).cos()), 1.0),
    "bicubic": (_bicubic, 2.0),
    "lanczos": (lambda x: _sinc(x) * _sinc(x / 3), 3.0),
}


class FaceInput(nn.Module):
    """The preprocessing as a graph: what :meth:`Preprocessing.tensor` does, for any size.

    The weights of the resizing depend on the size of the faces; here they are computed from it
    within the graph, with Pillow's rounding, so that one file takes every size.

    Args:
        preprocessing: What the model does to a face.

    Shape:
        uint8 (N, H, W) -> float (N, in_chans, height, width)

    Example:
        >>> import torch
        >>> from fer_zoo.exporting.graph import FaceInput
        >>> from fer_zoo.preprocessing import Preprocessing
        >>> prepare = FaceInput(Preprocessing((48, 48), mean=(0.5,), std=(0.25,)))
        >>> prepare(torch.zeros(2, 64, 80, dtype=torch.uint8)).shape
        torch.Size([2, 1, 48, 48])
    """

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.preprocessing = preprocessing
        mean, std = (
            torch.tensor(values, dtype=torch.float64).view(-1, 1, 1)
            for values in (preprocessing.mean, preprocessing.std)
        )
        # (x / 255 - mean) / std as one product and one sum
        self.scale = nn.Buffer((1 / (255 * std)).float(), persistent=False)
        self.offset = nn.Buffer((-mean / std).float(), persistent=False)

    def forward(self, faces: Tensor) -> Tensor:
        """Returns the model's input."""
        normalised: Tensor = self.resize(faces)[:, None] * self.scale + self.offset
        return normalised

    def resize(self, faces: Tensor) -> Tensor:
        """Crops and resizes faces (N, H, W); whole numbers in 0..255, as floats."""
        if self.preprocessing.crop_pct < 1 or not torch.compiler.is_compiling():
            return self._resample(faces)
        fits = [
            torch.full((), n, dtype=torch.float64) == size
            for n, size in zip(faces.shape[1:], self.preprocessing.size, strict=True)
        ]
        resized: Tensor = torch.cond(fits[0] & fits[1], self._keep, self._resample, (faces,))
        return resized

    def _keep(self, faces: Tensor) -> Tensor:
        # faces of this size stay as they are; only so does their size become a constant
        return F.interpolate(faces.float()[:, None], self.preprocessing.size)[:, 0]

    def _resample(self, faces: Tensor) -> Tensor:
        p = self.preprocessing
        sides = [torch.full((), n, dtype=torch.float64) for n in faces.shape[1:]]
        used = sides
        if p.crop_mode == "center":
            scale = torch.minimum(sides[0] / p.size[0], sides[1] / p.size[1])
            used = [scale * p.size[0], scale * p.size[1]]
        rows, columns = (
            self.weights(n, side, p.crop_pct * part, out, axis)
            for n, side, part, out, axis in zip(
                faces.shape[1:], sides, used, p.size, (1, 0), strict=True
            )
        )
        wide = _whole(faces.double() @ columns)
        return _whole(rows @ wide).float()

    def weights(self, n: int, side: Tensor, used: Tensor, out: int, axis: int) -> Tensor:
        """Returns how much of each pixel goes into each of ``out``.

        Args:
            n: The side in pixels.
            side: The same.
            used: How much of it is used.
            out: Pixels that it becomes.
            axis: Which axis of the result the side is: 1 gives (out, side), and 0 (side, out).
                (ONNX Runtime up to 1.24 cannot run a product with a transposed matrix of 64 bits.)
        """
        at = torch.arange(n, dtype=torch.float64).unsqueeze(1 - axis)
        start = ((side - used) / 2).float().double().clamp(min=0)  # Pillow's corners have 32 bits
        end = torch.minimum(((side + used) / 2).float().double(), side)
        scale = (end.float() - start.float()).double() / out
        if self.preprocessing.interpolation == "nearest":
            steps = torch.cat([(start + 0.5 * scale)[None], scale.expand(out - 1)]).cumsum(0)
            nearest = torch.minimum(steps.floor().clamp(min=0), side - 1)
            return (at == nearest.unsqueeze(axis)).double()
        center = start + (torch.arange(out, dtype=torch.float64).unsqueeze(axis) + 0.5) * scale
        function, support = _FILTERS[self.preprocessing.interpolation]
        stretch = scale.clamp(min=1)  # enlarging interpolates, shrinking averages
        low = (center - support * stretch + 0.5).floor().clamp(min=0)
        high = torch.minimum((center + support * stretch + 0.5).floor(), side)
        inside = ((at >= low) & (at < high)).double()
        weights = function((at + 0.5 - center) * (1 / stretch)) * inside
        shares = weights / weights.sum(dim=axis, keepdim=True)
        return shares.sign() * (shares.abs() * 2**22 + 0.5).floor() / 2**22  # and 22 binary places


class FaceClassifier(nn.Module):
    """A model with its preprocessing before it and its calibrated softmax after it.

    Args:
        model: A model of fer_zoo; it is shared, not copied.

    Shape:
        uint8 (N, H, W) -> probabilities (N, num_classes)

    Example:
        >>> import torch
        >>> from fer_zoo import create_model
        >>> from fer_zoo.exporting.graph import FaceClassifier
        >>> classify = FaceClassifier(create_model("vgg_small").eval())
        >>> classify(torch.zeros(2, 64, 80, dtype=torch.uint8)).shape
        torch.Size([2, 7])
    """

    def __init__(self, model: FaceModel) -> None:
        super().__init__()
        self.prepare, self.model = FaceInput(preprocessing_of(model)), model
        self.temperature = model.temperature

    def forward(self, faces: Tensor) -> Tensor:
        """Returns every face's probabilities."""
        logits: Tensor = self.model(self.prepare(faces))
        return (logits / self.temperature).softmax(dim=1)


def _whole(pixels: Tensor) -> Tensor:
    return (pixels + 0.5).floor().clamp(0, 255)
