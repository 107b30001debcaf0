"""Whether an exported graph gives what its model gives."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fer_zoo.inference.logits import LoadedModel

#: A probability of an exported file may differ from its model's by less.
TOLERANCE = 1e-4


def largest_difference(
    run: Callable[[Tensor], Tensor], loaded: LoadedModel, raw: bool, any_size: bool
) -> float:
    """Compares a graph with its model, in several batches and sizes.

    Args:
        run: The graph, from a batch to its output.
        loaded: The model, in eval mode on the CPU.
        raw: Whether the graph goes from input to logits, else from faces to probabilities.
        any_size: Whether it is said to take any height and width.

    Returns:
        The largest difference of a probability; nan where the graph gives no numbers.
    """
    worst = [torch.zeros(())]
    for faces in _batches(loaded.preprocessing.size, any_size):
        if raw:
            x = loaded.preprocessing.normalize(faces.float() / 255)
            found = (run(x) / loaded.module.temperature).softmax(dim=1)
        else:
            # face by face through Pillow, which is what the graph is to do
            prepared = [loaded.preprocessing(face) for face in faces.numpy()]
            x, found = torch.from_numpy(np.stack(prepared)), run(faces)
        with torch.no_grad():
            expected = (loaded.module(x) / loaded.module.temperature).softmax(dim=1)
        if found.shape != expected.shape:
            return float("nan")
        worst.append((found - expected).abs().max())
    return float(torch.stack(worst).max())


def _batches(size: tuple[int, int], any_size: bool) -> Iterator[Tensor]:
    """Yields uint8 faces (N, H, W): smooth ones, as flat or grained ones differ less."""
    height, width = size
    shapes = [(1, height, width), (2, height, width), (16, height, width)]
    if any_size:
        shapes += [(5, height + 16, width + 32), (3, 3 * height // 4, 2 * width), (1, *size)]
    rng = np.random.default_rng(0)
    for n, *sides in shapes:
        coarse = rng.integers(0, 256, (n, 8, 8), dtype=np.uint8)
        smooth = [Image.fromarray(c).resize(sides[::-1], Image.Resampling.BICUBIC) for c in coarse]
        yield torch.from_numpy(np.stack([np.asarray(face) for face in smooth]))
