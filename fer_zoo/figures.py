"""Figures for papers: as wide as a column, in readable fonts and in colours for all eyes."""

import re
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_zoo.atomic import make_folder, write_atomically
from fer_zoo.errors import ConfigError
from fer_zoo.fonts import WAY_OUT, families, printable

if TYPE_CHECKING:  # matplotlib takes half a second to import
    from matplotlib.figure import Figure

#: What a figure can be written as; the ending of the file says which.
FORMATS = ("png", "pdf", "svg")
#: Width in inches of a column of a paper in two columns.
COLUMN = 3.3
#: Okabe & Ito (2008), told apart with every common kind of colour vision; yellow last, as it is
#: pale on white.
PALETTE = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7"),
    *("#E69F00", "#56B4E9", "#000000", "#F0E442"),
)
_CHARACTERS = 17  # of a title, for each inch
_STYLE: dict[str, Any] = {
    "font.size": 7,
    "axes.titlesize": 7,
    "figure.titlesize": 7.5,
    "figure.labelsize": 7,
    "legend.fontsize": 6,
    "legend.title_fontsize": 6,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.1,
    "lines.markersize": 3,
    "grid.linewidth": 0.5,
    "grid.alpha": 0.3,
    "pdf.fonttype": 42,  # TrueType: publishers refuse Type 3
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "fer_zoo",
    "text.parse_math": False,  # a $ in the name of a file or class begins no formula
}
#: Without the date the same figure is the same file.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {},
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
}


def check_format(path: Path) -> str:
    """Returns the format of a figure's file.

    Raises:
        ConfigError: If its ending is none of ``FORMATS``.
    """
    form = path.suffix.removeprefix(".").lower()
    if form not in FORMATS:
        raise ConfigError(f"cannot draw {path}; its name must end in .{', .'.join(FORMATS)}")
    return form


@contextmanager
def figure(path: Path, height: float, width: float = COLUMN, dpi: int = 300) -> "Iterator[Figure]":
    """Gives an empty figure, and writes it at the end; no display and no pyplot are needed.

    Args:
        path: The file; its ending is the format.
        height: Inches.
        width: Inches.
        dpi: Pixels of an inch, of a PNG and of pictures inside the others.

    Raises:
        ConfigError: If there is no such format.
        OutputError: If the file cannot be written.
    """
    from cycler import cycler
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    form = check_format(path)
    style: Any = _STYLE | {"axes.prop_cycle": cycler(color=PALETTE), "font.family": [*families()]}
    with rc_context(style):
        drawn = Figure(figsize=(width, height), layout="constrained")
        yield drawn
        make_folder(path.parent)
        with _missing_letters_said(path):
            write_atomically(
                path,
                lambda part: drawn.savefig(part, format=form, dpi=dpi, metadata=_METADATA[form]),
            )


@contextmanager
def _missing_letters_said(path: Path) -> Iterator[None]:
    """Says once which letters no font has, instead of a warning for each."""
    missing: dict[str, None] = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        glyph = re.match(r"Glyph (\d+) ", str(warning.message))
        if glyph:
            missing[chr(int(glyph[1]))] = None
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    if missing:
        warnings.warn(
            f"{path} has boxes for {' '.join(missing)}, which no font here has: {WAY_OUT}",
            stacklevel=4,
        )


def wrap_title(title: str, width: float = COLUMN) -> str:
    """Breaks a title into lines that fit a figure of so many inches."""
    columns = int(_CHARACTERS * width)
    return "\n".join(textwrap.fill(line, columns) for line in printable(title).split("\n"))
