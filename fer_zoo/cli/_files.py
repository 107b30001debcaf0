"""Which files the arguments of a command stand for, and their bytes where these come only once."""

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fer_zoo.errors import ConfigError, ImageError, OutputError

#: The argument that stands for standard input.
STDIN = "-"


@dataclass(frozen=True)
class FoundFiles:
    """What arguments stand for.

    Args:
        paths: Files and URLs, each once, in order.
        missing: Arguments that stand for nothing.
        left_out: How many files of folders are no images, in words; empty if all are.
    """

    paths: list[str]
    missing: list[str]
    left_out: str = ""


def find_images(patterns: Iterable[str]) -> FoundFiles:
    """Finds the files that arguments stand for.

    Args:
        patterns: Files, URLs, ``-``, globs (``**`` goes into folders), or folders; of a folder,
            the files below it that are named like images and not hidden, by links too.

    Raises:
        ImageError: If an argument is empty, a folder cannot be read, or standard input is closed.
    """
    from glob import glob

    from fer_zoo.images.names import describe_left_out, is_image_name
    from fer_zoo.images.sources import is_data_uri

    found: dict[str, None] = {}  # a set in order
    missing, others = [], set()
    for pattern in patterns:
        if not pattern:
            raise ImageError("an argument is empty; give files, quoted globs or folders of images")
        if pattern == STDIN and sys.stdin is None:
            raise ImageError("standard input is closed; give files")
        path = _of_home(pattern)
        if pattern == STDIN or "://" in pattern or is_data_uri(pattern):
            files = [pattern]
        elif is_folder(path):
            below = list(_below(str(path)))
            files = [name for name in below if is_image_name(name)]
            others |= {name for name in below if not is_image_name(name)}
        elif _exists(path):
            files = [pattern]
        else:
            matches = sorted(glob(str(path), recursive=True))
            files = [match for match in matches if not Path(match).is_dir()]
        if not files:
            missing.append(pattern)
        found.update(dict.fromkeys(files))
    return FoundFiles(list(found), missing, describe_left_out(others - set(found)))


def _of_home(text: str) -> Path:
    """Returns a path, with ~ as the home folder where there is one."""
    try:
        return Path(text).expanduser()
    except RuntimeError:  # of nobody here
        return Path(text)


def is_folder(path: Path) -> bool:
    """Says whether there is a folder; a text that can be no name is none."""
    try:
        return path.is_dir()
    except (OSError, ValueError):  # no name that a file could have
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _below(folder: str, above: tuple[str, ...] = ()) -> Iterator[str]:
    """Yields the files below a folder that are not hidden, links to nowhere too, in order.

    Raises:
        ImageError: If a folder cannot be read.
    """
    real = os.path.realpath(folder)
    if real in above:  # a link to a folder that it lies in
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise ImageError(f"{folder}: cannot be read: {error.strerror}; give its files") from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _below(entry.path, (*above, real))
        elif entry.is_file() or not os.path.exists(entry.path):
            yield entry.path


def check_outputs(outputs: Mapping[str, Path | None], inputs: Iterable[str]) -> None:
    """Refuses an output that would replace what is read, or another output.

    Args:
        outputs: The files to write by their flags; None for those that are not asked for.
        inputs: Files, and whatever else is read.

    Raises:
        OutputError: If one would.
    """
    taken = {_real(name): name for name in inputs if "://" not in name and name != STDIN}
    for flag, path in outputs.items():
        if path is None:
            continue
        if (real := _real(path)) in taken:
            raise OutputError(f"{flag} {path} would replace {taken[real]}: give another file")
        taken[real] = f"that of {flag}"


def _real(path: str | Path) -> str:
    try:
        return os.path.realpath(os.path.expanduser(path))
    except (OSError, ValueError):  # no name that a file could have
        return str(path)


def check_shard(text: str) -> tuple[int, int]:
    """Reads K/N.

    Raises:
        ConfigError: If it is no part.
    """
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise ConfigError(f"--shard is {text!r}; give K/N, such as 1/4 to 4/4")
    return int(part), int(parts)


def shard(paths: Iterable[str], part: int, parts: int) -> list[str]:
    """Returns one of several parts of files; each file is in one of them.

    The path decides, as given, so that the part of a file stays when others come and go.

    Args:
        paths: Names of files.
        part: Which part, from 1.
        parts: How many there are.
    """

    def part_of(path: str) -> int:
        digest = hashlib.sha256(os.fsencode(path)).digest()
        return int.from_bytes(digest[:8], "big") % parts + 1

    return [path for path in paths if part_of(path) == part]


class Contents:
    """Bytes of what can be read only once or from afar: standard input, pipes and URLs.

    Args:
        keep: Whether they are wanted again, by :meth:`read`.
    """

    def __init__(self, keep: bool) -> None:
        self.keep = keep
        self._kept: dict[str, bytes] = {}

    def of(self, paths: Iterable[str]) -> Iterator[str | bytes]:
        """Yields files as they are, and the bytes of everything else."""
        from fer_zoo.images.sources import is_data_uri, read_bytes

        for path in paths:
            local = "://" not in path and path != STDIN
            if local and (is_data_uri(path) or _of_home(path).is_file()):
                yield path
            elif path != STDIN and not (self.keep or local):
                yield path  # a URL is fetched by the thread that reads it
            else:
                try:
                    content = sys.stdin.buffer.read() if path == STDIN else read_bytes(path)[0]
                except ImageError:
                    yield path  # whoever reads it reports it
                    continue
                if self.keep:
                    self._kept[path] = content
                yield content

    def read(self, path: str) -> str | bytes:
        """Returns what to read a path from again, once."""
        return self._kept.pop(path, path)
