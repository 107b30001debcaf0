"""Boxes of faces in photographs."""

from typing import NamedTuple

#: Width and height in pixels below which nothing is a face.
LEAST = 3


class Box(NamedTuple):
    """The box of a face in a photograph; it may reach over the border.

    Args:
        left: Left side, in pixels.
        top: Upper side.
        right: Right side.
        bottom: Lower side.
        relative: Whether the sides are shares of the photograph's width and height.
    """

    left: float
    top: float
    right: float
    bottom: float
    relative: bool = False

    def inside(self, width: int, height: int, scale: float = 1.0) -> tuple[int, int, int, int]:
        """Returns the part of the box that lies in a photograph, in whole pixels.

        Args:
            width: Of the photograph as it was read, in pixels.
            height: Of the photograph as it was read, in pixels.
            scale: Pixels of the whole photograph in a pixel of what was read.

        Raises:
            ValueError: If less than half of the box lies in the photograph.

        Example:
            >>> Box(-2, 10, 20, 30).inside(60, 40)
            (0, 10, 20, 30)
            >>> Box(0.25, 0.5, 0.75, 1, relative=True).inside(60, 40)
            (15, 20, 45, 40)
        """
        across, down = (width, height) if self.relative else (1 / scale, 1 / scale)
        sides = self.left * across, self.top * down, self.right * across, self.bottom * down
        left, top = max(round(sides[0]), 0), max(round(sides[1]), 0)
        right, bottom = min(round(sides[2]), width), min(round(sides[3]), height)
        area = (sides[2] - sides[0]) * (sides[3] - sides[1])
        if right <= left or bottom <= top or (right - left) * (bottom - top) < area / 2:
            box = ", ".join(f"{side:g}" for side in self[:4])
            raise ValueError(
                f"the box {box} (left, top, right, bottom) lies outside of the image of "
                f"{round(width * scale)}x{round(height * scale)} pixels"
            )
        return left, top, right, bottom
