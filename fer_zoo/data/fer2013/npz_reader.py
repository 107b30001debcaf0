"""FER-2013 as one .npz: pixels, emotion, usage, and maybe row and votes."""

import contextlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fer_zoo.atomic import write_atomically
from fer_zoo.data.fer2013.table import SIDE, USAGES, FaceTable, check_emotions, usage_codes
from fer_zoo.data.filesystem import MAX_CONTAINER
from fer_zoo.errors import DataError, OutputError
from fer_zoo.labels import FERPLUS_VOTES

#: What the name of a csv file's cache has after it.
CACHE_SUFFIX = ".cache.npz"

_CACHE_VERSION = 2


def read_npz(file: IO[bytes], where: str) -> FaceTable:
    """Reads a table of faces; arrays of Python objects are refused.

    Args:
        file: An open file that can seek.
        where: The file's name for errors.

    Raises:
        DataError: If it is no .npz, or lacks an array, or one has the wrong shape or values.
    """
    return _table(_arrays(file, where), where)


def cache_path(csv: Path) -> Path:
    """Returns where the cache of a csv file lies."""
    return csv.with_name(csv.name + CACHE_SUFFIX)


def stamp_of(csv: Path) -> NDArray[np.int64]:
    """Returns what changes when a csv file does: its size and time, with the cache's version."""
    status = csv.stat()
    return np.array([_CACHE_VERSION, status.st_size, status.st_mtime_ns], dtype=np.int64)


def read_cache(csv: Path, stamp: NDArray[np.int64]) -> FaceTable | None:
    """Reads the cache of a csv file, or returns None if it has none that is whole and current."""
    path = cache_path(csv)
    with contextlib.suppress(DataError, OSError):
        with path.open("rb") as file:  # numpy leaves a damaged file open
            arrays = _arrays(file, str(path))
        if np.array_equal(arrays.get("stamp", []), stamp):
            return _table(arrays, str(path))
    return None


def write_cache(csv: Path, stamp: NDArray[np.int64], table: FaceTable) -> None:
    """Writes the cache of a csv file beside it, if that folder can be written.

    Args:
        csv: The file.
        stamp: Its stamp before it was read.
        table: What was read.
    """
    arrays: dict[str, Any] = {
        "pixels": table.pixels,
        "emotion": table.emotion.astype(np.uint8),
        "usage": np.array(USAGES)[table.usage],
        "stamp": stamp,
    }
    if table.row is not None:
        arrays["row"] = table.row
    if table.remark:
        arrays["remark"] = np.array(table.remark)

    def write(partial: Path) -> None:
        with partial.open("wb") as file:  # given a path, numpy would append .npz to it
            np.savez(file, **arrays)

    with contextlib.suppress(OutputError):
        write_atomically(cache_path(csv), write)


def _arrays(file: IO[bytes], where: str) -> dict[str, NDArray[np.generic]]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{where} is a single array, not an .npz of named ones")
            infos = archive.zip.infolist() if archive.zip else []
            size = sum(info.file_size for info in infos)
            if size > MAX_CONTAINER:
                raise DataError(
                    f"{where} would unpack to {size / 2**30:.0f} GiB; this is no FER-2013"
                )
            return {name: archive[name] for name in archive.files}
    except (DataError, OSError):
        raise
    except ValueError as error:  # numpy's own advice is to run what is in it
        raise DataError(
            f"{where} cannot be read as .npz: it holds no arrays of numbers or text; write it anew "
            "with numpy.savez"
        ) from error
    except Exception as error:  # numpy raises nearly anything for a damaged header
        raise DataError(
            f"{where} cannot be read as .npz: {error}; copy it again, or write it anew"
        ) from error


def _table(arrays: dict[str, NDArray[np.generic]], where: str) -> FaceTable:
    missing = [name for name in ("pixels", "emotion", "usage") if name not in arrays]
    if missing:
        raise DataError(
            f"{where} lacks {', '.join(missing)}; it has {', '.join(arrays) or 'no arrays'}, and "
            "needs pixels (N, 48, 48), emotion (N,) and usage (N,)"
        )
    pixels = _pixels(arrays["pixels"], where)
    row, votes = arrays.get("row"), arrays.get("votes")
    for name in {"emotion", "usage", "row", "votes"} & arrays.keys():
        shape = arrays[name].shape
        if shape != (len(pixels), *((len(FERPLUS_VOTES),) if name == "votes" else ())):
            raise DataError(f"{where}: {name} is {shape} for {len(pixels)} faces")
    emotion = _whole_numbers(arrays["emotion"], "emotion", where).astype(np.int64)
    check_emotions(emotion, where)
    usage = [n.decode("latin-1") if isinstance(n, bytes) else n for n in arrays["usage"].tolist()]
    return FaceTable(
        pixels,
        emotion,
        usage_codes([str(name) for name in usage], where),
        None if row is None else _whole_numbers(row, "row", where).astype(np.int64),
        None if votes is None else _bytes(votes, "votes", where),
        remark=str(arrays.get("remark", "")),
    )


def _pixels(pixels: NDArray[np.generic], where: str) -> NDArray[np.uint8]:
    if pixels.ndim == 2 and pixels.shape[1] == SIDE * SIDE:
        pixels = pixels.reshape(-1, SIDE, SIDE)
    if pixels.shape[1:] != (SIDE, SIDE):
        raise DataError(f"{where}: pixels must be (N, {SIDE}, {SIDE}), not {pixels.shape}")
    return _bytes(pixels, "pixels", where)


def _bytes(array: NDArray[np.generic], name: str, where: str) -> NDArray[np.uint8]:
    """Returns whole numbers 0..255 of any type, (N, ...), as bytes."""
    whole = _whole_numbers(array, name, where)
    if whole.dtype != np.uint8:
        wrong = ((whole < 0) | (whole > 255)).reshape(len(whole), -1).any(axis=1)
        if wrong.any():
            raise DataError(f"{where}, row {int(wrong.argmax())}: {name} outside 0..255")
    return np.ascontiguousarray(whole, dtype=np.uint8)


def _whole_numbers(array: NDArray[Any], name: str, where: str) -> NDArray[np.integer]:
    if array.dtype.kind not in "iu":
        raise DataError(f"{where}: {name} must be whole numbers, not {array.dtype}")
    return array
