"""Where files lie: in a folder, or in a zip file that is read without being unpacked."""

import io
import os
import weakref
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from fer_zoo.errors import DataError

#: Largest csv or npz (the original csv has 287 MB) and image that is read out of a zip, in bytes.
MAX_CONTAINER, MAX_IMAGE = 2 * 2**30, 64 * 2**20

#: Most bytes that all files of a zip may unpack to.
MAX_TOTAL = 16 * 2**30


class FileSystem(Protocol):
    """Files under names relative to a root, separated by slashes."""

    path: Path

    def containers(self) -> list[str]:
        """Returns the names of csv, npz and zip files, the outermost first."""

    def files(self) -> list[str]:
        """Returns all names, sorted, without hidden ones."""

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

    def containers(self) -> list[str]:
        """Returns the names of csv, npz and zip files here and in the folders right below."""
        found = [p for pattern in ("*", "*/*") for p in sorted(self.path.glob(pattern))]
        names = [p.relative_to(self.path).as_posix() for p in found if _is_container(p.name)]
        return [name for name in names if not _is_hidden(name)]

    def files(self) -> list[str]:
        """Returns all names at any depth; links to folders are followed."""
        names: list[str] = []
        seen: set[str] = set()
        for folder, subfolders, files in os.walk(self.path, followlinks=True):
            real = os.path.realpath(folder)
            if real in seen:  # links may lead round in a circle
                subfolders.clear()
                continue
            seen.add(real)
            inside = Path(folder).relative_to(self.path)
            names += [(inside / name).as_posix() for name in files]
        return sorted(name for name in names if not _is_hidden(name))

    def has(self, name: str) -> bool:
        """Says whether there is a file of this name, which may lead out of the folder."""
        return (self.path / name).is_file()

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
        infos = [info for info in self._zip.infolist() if not info.is_dir()]
        for info in infos:
            _check_entry(info, self.where(info.filename))
        total = sum(info.file_size for info in infos)
        if total > MAX_TOTAL:
            raise DataError(f"{path} would unpack to {total / 2**30:.0f} GiB; this is no FER-2013")
        self._names = sorted(i.filename for i in infos if not _is_hidden(i.filename))

    def containers(self) -> list[str]:
        """Returns the names of csv, npz and zip files at any depth, the outermost first."""
        names = [name for name in self._names if _is_container(name)]
        return sorted(names, key=lambda name: name.count("/"))

    def files(self) -> list[str]:
        """Returns all names."""
        return self._names

    def has(self, name: str) -> bool:
        """Says whether there is a file of this name."""
        return name in self._names

    def open(self, name: str) -> BinaryIO:
        """Opens a file to be read; a damaged one is noticed while reading."""
        try:
            # zipfile itself never yields more than the size that was checked
            return io.BufferedReader(self._zip.open(name), 2**20)  # type: ignore[type-var]
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


def _check_entry(info: zipfile.ZipInfo, where: str) -> None:
    parts = info.filename.replace("\\", "/").split("/")
    if parts[0] == "" or ".." in parts or ":" in parts[0]:
        raise DataError(f"{where}: a name that leads out of the zip file; do not trust this file")
    if info.flag_bits & 1:
        raise DataError(f"{where} is encrypted; unpack it first")
    limit = MAX_CONTAINER if _is_container(info.filename) else MAX_IMAGE
    if info.file_size > limit:
        raise DataError(
            f"{where} would unpack to {info.file_size / 2**20:,.0f} MiB, more than the "
            f"{limit / 2**20:,.0f} MiB allowed; if it is genuine, unpack it first"
        )


def _is_container(name: str) -> bool:
    return name.lower().endswith((".csv", ".npz", ".zip"))


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
