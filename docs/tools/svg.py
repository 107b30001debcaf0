"""Boxes, arrows and words as SVG text, which is the same on every machine."""

from collections.abc import Sequence
from html import escape

#: Light tints of fer_zoo.figures.PALETTE: what a box stands for.
INPUT, LAYERS, ATTENTION, DROP, HEAD = "#f2f2f2", "#cfe3f1", "#f8dcc4", "#f3dfea", "#cbe9df"
_FONT = "font-family='Helvetica, Arial, DejaVu Sans, sans-serif'"
_LINE, _INK = 15, "#1a1a1a"


class Drawing:
    """An SVG picture on white.

    Args:
        width: Pixels.
        height: Pixels.
        title: What it shows, for readers who do not see it.
    """

    def __init__(self, width: int, height: int, title: str) -> None:
        self.parts = [
            f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' "
            f"width='{width}' height='{height}' role='img' {_FONT} font-size='12'>",
            f"<title>{escape(title)}</title>",
            "<defs><marker id='tip' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='7' "
            "markerHeight='7' orient='auto'><path d='M0 0 L8 4 L0 8 z' fill='#1a1a1a'/>"
            "</marker></defs>",
            f"<rect width='{width}' height='{height}' fill='white'/>",
        ]

    def text(
        self, x: float, y: float, words: str, *, anchor: str = "middle", bold: bool = False,
        size: int = 12, color: str = _INK,
    ) -> None:  # fmt: skip
        """Writes a line; y is its base line."""
        weight = " font-weight='bold'" if bold else ""
        self.parts.append(
            f"<text x='{x:g}' y='{y:g}' text-anchor='{anchor}' font-size='{size}' "
            f"fill='{color}'{weight}>{escape(words)}</text>"
        )

    def box(
        self, x: float, y: float, width: float, height: float, lines: Sequence[str], fill: str,
        *, bold: bool = True,
    ) -> None:  # fmt: skip
        """Draws a box with lines in its middle, the first of them bold."""
        self.parts.append(
            f"<rect x='{x:g}' y='{y:g}' width='{width:g}' height='{height:g}' rx='5' "
            f"fill='{fill}' stroke='#666'/>"
        )
        top = y + height / 2 - _LINE * len(lines) / 2 + 11.5
        for i, line in enumerate(lines):
            size = 12 if i == 0 and bold else 11
            self.text(x + width / 2, top + _LINE * i, line, bold=bold and i == 0, size=size)

    def arrow(self, points: Sequence[tuple[float, float]], label: str = "") -> None:
        """Draws an arrow along points; the label stands above the middle of its first part."""
        path = " L".join(f"{x:g} {y:g}" for x, y in points)
        self.parts.append(f"<path d='M{path}' fill='none' stroke='{_INK}' marker-end='url(#tip)'/>")
        if label:
            (x0, y0), (x1, _) = points[:2]
            self.text((x0 + x1) / 2, y0 - 5, label, size=10, color="#444")

    def circle(self, x: float, y: float, sign: str) -> None:
        """Draws a sign such as + in a circle."""
        self.parts.append(f"<circle cx='{x:g}' cy='{y:g}' r='11' fill='white' stroke='#666'/>")
        self.text(x, y + 5, sign, size=15)

    def flow(
        self, x: float, y: float, height: float, nodes: Sequence[tuple[Sequence[str], str, str]]
    ) -> list[tuple[float, float]]:
        """Draws boxes from left to right with arrows between them.

        Args:
            x: Left edge.
            y: Middle.
            height: Of the boxes.
            nodes: Lines, fill, and what the box hands on (written above the arrow).

        Returns:
            Left and right edge of each box.
        """
        edges: list[tuple[float, float]] = []
        for i, (lines, fill, _) in enumerate(nodes):
            bold = len(lines) > 1
            first = (7.4 if bold else 6.3) * len(lines[0])
            width = max(46, 14 + max(first, 6.3 * max(map(len, lines))))
            if edges:
                label = nodes[i - 1][2]
                gap = max(24, 14 + 6.2 * len(label))
                x = edges[-1][1] + gap
                self.arrow([(edges[-1][1], y), (x, y)], label)
            self.box(x, y - height / 2, width, height, lines, fill, bold=bold)
            edges.append((x, x + width))
        return edges

    def svg(self) -> str:
        """Returns the file's text."""
        return "\n".join([*self.parts, "</svg>", ""])
