"""Boxes and labels drawn on photographs."""

import math
import warnings
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from fer_zoo.fonts import WAY_OUT, font_file
from fer_zoo.inference.detection import Box

_LATIN = 0x180  # Pillow's font has the letters before


def draw_faces(
    image: Image.Image, faces: Sequence[tuple[Box | None, str]], min_side: int = 240
) -> Image.Image:
    """Draws boxes with labels on a copy, which is enlarged so that small faces stay readable.

    Args:
        image: The photograph.
        faces: A box and a text each; without a box the text stands for the whole image.
        min_side: Pixels that the shorter side gets at least; 1 leaves the size as it is.

    Returns:
        An RGB image.

    Warns:
        UserWarning: If no font here has the letters of a text.
    """
    zoom = max(1, math.ceil(min_side / min(image.size)))
    canvas = image.copy() if image.mode == "RGB" else image.convert("RGB")
    if zoom > 1:
        canvas = canvas.resize((image.width * zoom, image.height * zoom))
    draw = ImageDraw.Draw(canvas)
    width = max(2, max(canvas.size) // 300)
    font = _font("".join(text for _, text in faces), max(14, max(canvas.size) // 45))
    for box, text in faces:
        x0, y0, x1, y1 = (zoom * v for v in box) if box else (0, 0, *canvas.size)
        draw.rectangle((x0, y0, x1 - 1, y1 - 1), outline="lime", width=width)
        left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
        height = bottom + top  # as much room below the text as above it
        x = min(max(x0, 0), max(canvas.width - right - 6, 0))
        y = y0 - height if y0 >= height else max(y0, 0)
        draw.rectangle((x, y, x + right - left + 6, y + height), fill="lime")
        draw.text((x + 3, y), text, fill="black", font=font)
    return canvas


def _font(text: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Returns a font that has the letters of a text: Pillow's own for Latin ones."""
    if all(ord(letter) < _LATIN for letter in text):
        return ImageFont.load_default(size=size)
    file = font_file("".join(sorted(set(text))))
    if file is None:
        warnings.warn(f"no font here has the letters of {text[:50]!r}: {WAY_OUT}", stacklevel=3)
        return ImageFont.load_default(size=size)
    return ImageFont.truetype(file, size)
