"""Heat maps painted over faces, as figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_zoo.errors import ConfigError
from fer_zoo.explanation.explainer import Explanation
from fer_zoo.figures import COLUMN, figure, wrap_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

#: The most faces of a picture.
MAX_FACES = 100
#: Colours of heat maps: cividis is ordered by lightness for all eyes.
HEAT_COLORS = "cividis"


def save_explanations(path: Path, explanations: Sequence[Explanation], title: str = "") -> None:
    """Draws each face, and beside it the same face below its heat map.

    Args:
        path: The file; its ending is the format (``fer_zoo.figures.FORMATS``).
        explanations: One per face; two faces stand in a row.
        title: Text above; by default the models and methods.

    Raises:
        ConfigError: If there is no explanation, or too many, or no such format.
        OutputError: If the file cannot be written.
    """
    if not 0 < len(explanations) <= MAX_FACES:
        raise ConfigError(f"{len(explanations):,} faces for a picture; give 1 to {MAX_FACES}")
    across = min(2, len(explanations))
    rows = -(-len(explanations) // across)
    kinds = dict.fromkeys(f"{e.model}, {e.method}" for e in explanations)
    side = (COLUMN - 0.4) / (2 * across)  # the rest is the colour bar
    with figure(path, rows * (side + 0.2) + 0.25) as drawn:
        grid = drawn.subplots(rows, 2 * across, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        heat = None
        for i, explanation in enumerate(explanations):
            left, right = grid.flat[2 * i : 2 * i + 2]
            left.imshow(explanation.face, cmap="gray", vmin=0, vmax=255, interpolation="bicubic")
            found = explanation.prediction
            left.set_title(f"{found.label} {100 * found.probability:.0f} %")
            heat = paint(right, explanation)
            right.set_title(caption(explanation))
        if heat is not None:
            bar = drawn.colorbar(heat, ax=grid, fraction=0.04, pad=0.02, ticks=(0, 0.5, 1))
            bar.ax.tick_params(labelsize=6)
        drawn.suptitle(wrap_title(title or "; ".join(kinds)))


def paint(axes: "Axes", explanation: Explanation) -> "AxesImage":
    """Paints a face and its heat map over it.

    Args:
        axes: Where.
        explanation: The face.

    Returns:
        What a colour bar needs.
    """
    smooth: dict[str, Any] = {"interpolation": "bicubic"}
    axes.imshow(explanation.face, cmap="gray", vmin=0, vmax=255, **smooth)
    return axes.imshow(
        explanation.heat_map, cmap=HEAT_COLORS, vmin=0, vmax=1, alpha=0.55, interpolation="bilinear"
    )


def caption(explanation: Explanation) -> str:
    """Says what a map shows in a few words."""
    if explanation.label is None:
        return "where it looks" if explanation.heat_map.any() else "looks everywhere alike"
    nothing = "" if explanation.heat_map.any() else "nothing "
    return f"{nothing}for {explanation.label}"
