"""Where files lie: in a folder, or in a zip file that is read without being unpacked."""

import errno
import io
import os
import weakref
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO, Protocol

from fer_zoo.errors import DataError

#: Largest csv or npz (the original csv has 287 MB) and image that is read out of a zip, in bytes.
MAX_CONTAINER, MAX_IMAGE = 2 * 2**30, 64 * 2**20

#: Most bytes that all files of a zip may unpack to.
MAX_TOTAL = 16 * 2**30


@dataclass(frozen=True)
class Survey:
    """All that lies under a root, by names relative to it.

    Args:
        files: The files at any depth, sorted, without hidden ones; links that lead nowhere too.
        folders: The folders at any depth, without hidden ones and what these hold.
        hidden: Hidden files and folders.
        broken: Links that lead nowhere, and what is neither file nor folder.
        unlisted: Folders that cannot be listed.
    """

    files: Sequence[str] = ()
    folders: Sequence[str] = ()
    hidden: Sequence[str] = ()
    broken: Sequence[str] = ()
    unlisted: Sequence[str] = ()


class FileSystem(Protocol):
    """Files under names relative to a root, separated by slashes."""

    path: Path

    def containers(self) -> list[str]:
        """Returns the names of csv, npz and zip files, the outermost first."""

    def files(self) -> Sequence[str]:
        """Returns all names, sorted, without hidden ones."""

    def survey(self) -> Survey:
        """Returns all that lies there; it is looked at once."""

    def has(self, name: str) -> bool:
        """Says whether there is a file of this name."""

    def open(self, name: str) -> BinaryIO:
        """Opens a file to be read."""

    def where(self, name: str) -> str:
        """Returns the name that an error shows."""


class LocalFolder:
    """The files of a folder.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._survey: Survey | None = None

    def containers(self) -> list[str]:
        """Returns the names of csv, npz and zip files here and in the folders right below."""
        found = [p for pattern in ("*", "*/*") for p in sorted(self.path.glob(pattern))]
        names = [p.relative_to(self.path).as_posix() for p in found if _is_container(p.name)]
        return [name for name in names if not _is_hidden(name)]

    def files(self) -> Sequence[str]:
        """Returns all names at any depth; links to folders are followed."""
        return self.survey().files

    def survey(self) -> Survey:
        """Returns all that lies there; it is looked at once."""
        if self._survey is None:
            self._survey = _walk(self.path)
        return self._survey

    def has(self, name: str) -> bool:
        """Says whether there is a file of this name, which may lead out of the folder."""
        try:
            return (self.path / name).is_file()
        except OSError as error:
            return error.errno != errno.ENAMETOOLONG  # one that may not be seen is there

    def open(self, name: str) -> BinaryIO:
        """Opens a file to be read."""
        return (self.path / name).open("rb")

    def where(self, name: str) -> str:
        """Returns the path of a file."""
        return str(self.path / name)


class ZipArchive:
    """The files of a zip file.

    Nothing is written to the disk, so that no name in it can point anywhere; names that try are a
    reason to refuse the file all the same, and so are sizes that no data set has.

    Args:
        path: The zip file.

    Raises:
        DataError: If it is damaged, encrypted, or looks like an attack.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._errors():
            self._zip = zipfile.ZipFile(path)
        # an archive in a reference cycle (an error's traceback) must not leave its file to the
        # garbage collector, which may finalize the file first and warn
        weakref.finalize(self, self._zip.close)
        entries = {_name_of(info): info for info in self._zip.infolist()}
        self._infos = {name: info for name, info in entries.items() if not name.endswith("/")}
        for name, info in self._infos.items():
            _check_entry(name, info, self.where(name))
        total = sum(info.file_size for info in self._infos.values())
        if total > MAX_TOTAL:
            raise DataError(f"{path} would unpack to {total / 2**30:.0f} GiB; this is no FER-2013")
        self._survey = _survey_of(list(entries))

    def containers(self) -> list[str]:
        """Returns the names of csv, npz and zip files at any depth, the outermost first."""
        names = [name for name in self._survey.files if _is_container(name)]
        return sorted(names, key=lambda name: name.count("/"))

    def files(self) -> Sequence[str]:
        """Returns all names."""
        return self._survey.files

    def survey(self) -> Survey:
        """Returns all that lies there."""
        return self._survey

    def has(self, name: str) -> bool:
        """Says whether there is a file of this name."""
        return name in self._infos and not _is_hidden(name)

    def open(self, name: str) -> BinaryIO:
        """Opens a file to be read; a damaged one is noticed while reading."""
        try:
            # zipfile itself never yields more than the size that was checked
            return io.BufferedReader(self._zip.open(self._infos[name]), 2**20)  # type: ignore[type-var]
        except (NotImplementedError, RuntimeError) as error:
            raise DataError(
                f"{self.where(name)} cannot be unpacked here: {error}; unpack it first"
            ) from error

    def where(self, name: str) -> str:
        """Returns the path of the zip file and the name in it."""
        return f"{self.path}/{name}"

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
            raise DataError(
                f"{self.path} is no zip file that can be read: {error}; copy it again"
            ) from error


def _walk(root: Path) -> Survey:
    lists: dict[str, list[str]] = {
        "files": [],
        "folders": [],
        "hidden": [],
        "broken": [],
        "unlisted": [],
    }
    left = [("", frozenset[str]())]
    while left:
        inside, above = left.pop()
        real = os.path.realpath(root / inside)
        if real in above:  # links may lead round in a circle
            continue
        try:
            entries = list(os.scandir(root / inside))
        except OSError:
            lists["unlisted"].append(inside or ".")
            continue
        for entry in entries:
            name = f"{inside}/{entry.name}" if inside else entry.name
            kind = "hidden" if _is_hidden(entry.name) else _kind(entry)
            lists[kind].append(name)
            if kind == "folders":
                left.append((name, above | {real}))
            elif kind == "broken" and entry.is_symlink():
                lists["files"].append(name)  # whoever reads it reports it
    return Survey(**{kind: sorted(names) for kind, names in lists.items()})


def _kind(entry: "os.DirEntry[str]") -> str:
    try:
        return "folders" if entry.is_dir() else "files" if entry.is_file() else "broken"
    except OSError:
        return "broken"


def _survey_of(names: Sequence[str]) -> Survey:
    """Returns what a zip file holds; the names of folders end with a slash."""
    shown = [name for name in names if not _is_hidden(name)]
    parents = {p for n in shown for p in accumulate(n.split("/")[:-1], "{}/{}".format)}
    return Survey(
        files=sorted(name for name in shown if not name.endswith("/")),
        folders=sorted(parents),
        hidden=sorted({_outermost_hidden(name) for name in names if _is_hidden(name)}),
    )


def _outermost_hidden(name: str) -> str:
    return next(above for above in accumulate(name.split("/"), "{}/{}".format) if _is_hidden(above))


def _name_of(info: zipfile.ZipInfo) -> str:
    """Returns an entry's name with slashes, and with its letters where they are UTF-8 unmarked."""
    name = info.filename
    if not info.flag_bits & 0x800:  # zipfile has read it as the code page 437
        with suppress(UnicodeError):
            name = name.encode("cp437").decode()
    return name.replace("\\", "/")


def _check_entry(name: str, info: zipfile.ZipInfo, where: str) -> None:
    parts = name.split("/")
    if parts[0] == "" or ".." in parts or ":" in parts[0]:
        raise DataError(f"{where}: a name that leads out of the zip file; do not trust this file")
    if info.flag_bits & 1:
        raise DataError(f"{where} is encrypted; unpack it first")
    limit = MAX_CONTAINER if _is_container(name) else MAX_IMAGE
    if info.file_size > limit:
        raise DataError(
            f"{where} would unpack to {info.file_size / 2**20:,.0f} MiB, more than the "
            f"{limit / 2**20:,.0f} MiB allowed; if it is genuine, unpack it first"
        )


def _is_container(name: str) -> bool:
    return name.lower().endswith((".csv", ".npz", ".zip"))


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
