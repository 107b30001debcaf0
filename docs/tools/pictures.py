"""Pictures of README and docs: what each is drawn from, and how.

A PNG keeps the sha256 of what it was drawn from, so that a picture out of date is found whatever
version of matplotlib drew it.
"""

import hashlib
import json
import math
import random
import runpy
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.textpath import TextPath
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fer_zoo.evaluation.plots import save_confusion, save_corruptions
from fer_zoo.explanation import explain
from fer_zoo.explanation.drawing import caption, paint
from fer_zoo.figures import PALETTE, figure
from fer_zoo.inference.detection import Box, crop_face, make_detector
from fer_zoo.inference.drawing import draw_faces
from fer_zoo.inference.predictor import Predictor

ROOT = Path(__file__).parents[2]
RESULTS, PICTURES = ROOT / "docs" / "results", ROOT / "docs" / "pictures"
_KEY = "drawn from"
#: Rows and methods of the picture of heat maps.
EXPLAINED = {"vgg": ("gradcam", "occlusion"), "dacl": ("gradcam", "attention"),
             "transfer": ("gradcam", "attention")}  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """A picture and what it shows.

    Args:
        data: All that its content depends on.
        draw: Draws it to a PNG file.
        colors: Colours to keep, which makes the file smaller; None keeps all.
    """

    data: Any
    draw: Callable[[Path], object]
    colors: int | None = 128

    def digest(self) -> str:
        """Returns the sha256 of the data."""
        return hashlib.sha256(json.dumps(self.data, sort_keys=True).encode()).hexdigest()

    def is_current(self, path: Path) -> bool:
        """Says whether a file was drawn from these data."""
        if not path.is_file():
            return False
        with Image.open(path) as image:
            return image.info.get(_KEY) == self.digest()

    def write(self, path: Path) -> None:
        """Draws the picture, and notes in it what it was drawn from."""
        self.draw(path)
        with Image.open(path) as image:
            drawn, dpi = image.convert("RGB"), image.info.get("dpi", (300, 300))
        if self.colors:
            drawn = drawn.quantize(self.colors)
        note = PngInfo()
        note.add_text(_KEY, self.digest())
        drawn.save(path, pnginfo=note, optimize=True, dpi=dpi)


def confusion(result: Mapping[str, Any]) -> Picture:
    """Returns the confusion matrix of a record of ``fer-zoo evaluate``."""
    figures = result["metrics"]
    title = (
        f"{result['model']} on {result['split']} (n = {figures['n']:,}): "
        f"{100 * figures['accuracy']:.2f} %"
    )
    data = {"counts": figures["confusion"], "names": result["label_names"], "title": title}
    draw = partial(save_confusion, confusion=data["counts"], label_names=data["names"], title=title)
    return Picture(data, draw)


def curves(path: Path, weights: str) -> Picture:
    """Returns the curves that a run left, to note which weights they are of.

    Args:
        path: The picture, which publishing has put there without a note.
        weights: sha256 of the weights that the run made.
    """
    picture = Picture({"curves of": weights}, lambda path: None)
    with Image.open(path) as image:
        noted = image.info.get(_KEY)
    if noted not in (None, picture.digest()):
        sys.exit(f"{path} shows the run of other weights: delete it")
    return picture


def corruptions(result: Mapping[str, Any]) -> Picture:
    """Returns accuracy over severity of a record of ``fer-zoo evaluate --corruptions``."""
    accuracy = {name: found["accuracy"] for name, found in result["corruptions"].items()}
    title = (
        f"{result['protocol']}\n{result['model']} on {result['split']} (n = {result['n']:,}): "
        f"{100 * result['clean']:.2f} % clean, {100 * result['mean']:.2f} % on corrupted faces"
    )
    data = {"accuracy": accuracy, "clean": result["clean"], "title": title}
    return Picture(data, partial(save_corruptions, **data))


def adam() -> Picture:
    """Returns the losses of examples/why_adam_failed.py."""
    records = json.loads((RESULTS / "why_adam_failed.json").read_text())
    draw = runpy.run_path(str(ROOT / "examples" / "why_adam_failed.py"))["draw"]
    return Picture(records, partial(draw, records))


def portrait(weights: Mapping[str, str]) -> Picture:
    """Returns the astronaut with the label that dacl gives her.

    Args:
        weights: sha256 of the weights by name.
    """
    return Picture({"dacl": weights["dacl.fer2013"]}, _draw_portrait, colors=None)


def _draw_portrait(path: Path) -> None:
    photo = _astronaut()
    texts = [
        (face.box, f"{face.label} {100 * face.probability:.0f} %")
        for face in Predictor("dacl", detect=True)(photo)
    ]
    draw_faces(photo, texts).crop((60, 0, 412, 352)).save(path)


def _astronaut() -> Image.Image:
    from skimage import data

    return Image.fromarray(data.astronaut())


def heat_maps(weights: Mapping[str, str]) -> Picture:
    """Returns heat maps of the astronaut's face."""
    data = {"weights": {name: weights[f"{name}.fer2013"] for name in EXPLAINED}, "maps": EXPLAINED}
    return Picture(data, _draw_heat_maps, colors=None)


def _draw_heat_maps(path: Path) -> None:
    detector, photo = make_detector(True), _astronaut()
    assert detector is not None  # for mypy
    face = crop_face(photo, detector(photo)[0].box)
    panels = [
        explain(name, face, method=method)
        for name, methods in EXPLAINED.items()
        for method in methods
    ]
    with figure(path, 2.75, width=5.0, dpi=180) as drawn:
        grid = drawn.subplots(2, len(EXPLAINED) + 1)
        for axes in grid.flat:
            axes.axis("off")
        grid[0, 0].imshow(panels[0].face, cmap="gray", interpolation="bicubic")
        grid[0, 0].set_title("the face, 48x48")
        for i, panel in enumerate(panels):
            axes = grid[i % 2, 1 + i // 2]
            heat = paint(axes, panel)
            axes.set_title(f"{panel.model}, {panel.method}\n{caption(panel)}")
        drawn.colorbar(heat, ax=grid, fraction=0.03, pad=0.02, ticks=(0, 0.5, 1))


def accuracy(rows: list[dict[str, Any]]) -> Picture:
    """Returns accuracy over cost.

    Args:
        rows: ``model``, ``weights``, ``macs``, ``accuracy`` and its ``interval`` of each weights.
    """
    return Picture(rows, partial(_draw_accuracy, rows))


def _draw_accuracy(rows: list[dict[str, Any]], path: Path) -> None:
    kinds = {"ferplus": "FER+ labels, 8 classes", "fer2013": "FER-2013 labels, 7 classes"}
    spans = {kind: [r for r in rows if r["weights"] == kind] for kind in kinds}
    spans = {kind: found for kind, found in spans.items() if found}
    with figure(path, 3.2, width=4.4) as drawn:
        heights = [1 if kind == "ferplus" else 3.2 for kind in spans]
        panels = drawn.subplots(
            len(spans), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
        )
        for axes, (kind, found) in zip(panels.flat, spans.items(), strict=True):
            for i, row in enumerate(found):
                x, y = row["macs"] / 1e6, 100 * row["accuracy"]
                low, high = (100 * value for value in row["interval"])
                bars = {"color": PALETTE[i % 7], "capsize": 2}
                axes.errorbar(x, y, [[y - low], [high - y]], fmt="o", **bars)
            axes.set_title(kinds[kind], loc="left")
            axes.grid()
            axes.margins(0.16, 0.16)
        panels.flat[-1].set_xlabel("million multiply-accumulates for a face")
        drawn.supylabel("accuracy on PublicTest in %, 95 % interval")
        drawn.draw_without_rendering()  # the layout decides where names have room
        for axes, found in zip(panels.flat, spans.values(), strict=True):
            _name_points(axes, found)


def _name_points(axes: Any, rows: list[dict[str, Any]]) -> None:
    """Writes each model's name beside its interval, where no other name or interval is."""

    def place(x: float, y: float) -> tuple[float, float]:
        shown = axes.transData.transform((x / 1e6, 100 * y)) * 72 / axes.figure.dpi
        return float(shown[0]), float(shown[1])

    bars, choices = [], []  # left, bottom, right, top in points
    for row in rows:
        (x, low), (_, high) = (place(row["macs"], value) for value in row["interval"])
        y = place(row["macs"], row["accuracy"])[1]
        width = TextPath((0, 0), row["model"], size=6.5).get_extents().width + 2
        middle = x - width / 2
        corners = [(x + 4, y - 4), (x - 4 - width, y - 4), (middle, high + 2), (middle, low - 10)]
        corners += [(middle, high + 11), (middle, low - 19)]
        choices.append([(left, below, left + width, below + 8) for left, below in corners])
        bars.append((x - 3, low, x + 3, high))
    chosen = _with_room(choices, bars)
    for i, (row, (left, low, right, high)) in enumerate(zip(rows, chosen, strict=True)):
        axes.annotate(
            row["model"], ((left + right) / 2, (low + high) / 2), xycoords="figure points",
            fontsize=6.5, color=PALETTE[i % 7], ha="center", va="center", annotation_clip=False,
        )  # fmt: skip


def _with_room(choices: list[list[Box]], bars: list[Box]) -> list[Box]:
    """Returns a place for each name so that as little as possible is covered."""
    best, least, source = [places[0] for places in choices], math.inf, random.Random(0)
    for _ in range(100):
        found = [source.choice(places) for places in choices]
        for i in [*range(len(found))] * 3:  # a name may make room for another
            others = [*bars, *found[:i], *found[i + 1 :]]
            costs = [sum(_overlap(box, other) for other in others) for box in choices[i]]
            found[i] = choices[i][costs.index(min(costs))]
        cost = sum(_overlap(a, b) for a in found for b in [*bars, *found] if a is not b)
        cost += 0.1 * sum(places.index(box) for places, box in zip(choices, found, strict=True))
        if cost < least:
            best, least = found, cost
    return best


def _overlap(a: Box, b: Box) -> float:
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, across) * max(0.0, down)
