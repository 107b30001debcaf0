"""Fonts for names of classes in any script, where the usual one lacks their letters."""

from functools import cache
from pathlib import Path

#: Fonts of systems for the scripts that DejaVu Sans lacks, the foremost first.
FALLBACKS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC"),
    *("WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Microsoft YaHei", "SimHei", "PingFang SC"),
    *("PingFang HK", "Hiragino Sans", "Yu Gothic", "Malgun Gothic", "Apple SD Gothic Neo"),
    *("Droid Sans Fallback", "Noto Sans Devanagari", "Noto Sans Bengali", "Noto Sans Tamil"),
    *("Noto Sans Thai", "Nirmala UI", "Leelawadee UI", "Arial Unicode MS", "Noto Emoji"),
    *("Segoe UI Symbol", "Segoe UI Emoji"),
)
#: What to do where a letter has no font.
WAY_OUT = "install a font of their script, such as Noto Sans CJK"


@cache
def families() -> tuple[str, ...]:
    """Returns the fonts of figures that are installed: DejaVu Sans, then ``FALLBACKS``."""
    from matplotlib.font_manager import fontManager

    there = {font.name for font in fontManager.ttflist}
    return "DejaVu Sans", *(name for name in FALLBACKS if name in there)


def has_letters(family: str, text: str) -> bool:
    """Says whether an installed font has all letters of a text."""
    from matplotlib.font_manager import get_font

    wanted = {ord(letter) for letter in text if not letter.isspace()}
    return wanted <= get_font(_file_of(family)).get_charmap().keys()


@cache
def font_file(text: str) -> Path | None:
    """Returns the file of the first font that has all letters of a text; None if there is none.

    Args:
        text: The text.
    """
    found = (family for family in families() if has_letters(family, text))
    return next(map(_file_of, found), None)


def _file_of(family: str) -> Path:
    from matplotlib.font_manager import FontProperties, findfont

    return Path(findfont(FontProperties(family=[family])))


def printable(text: str) -> str:
    r"""Returns a text that can be drawn and written: bytes that are no letters become codes.

    Example:
        >>> printable("tr\udce9s")
        'tr\\xe9s'
    """
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # halves of letters, which no name of a file has
        return text.encode("utf-8", "backslashreplace").decode()
