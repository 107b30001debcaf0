"""Files that are written whole or not at all."""

import contextlib
import glob
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from filelock import FileLock, Timeout

from fer_zoo.errors import OutputError

Writer = Callable[[Path], object]


def write_text(path: Path, text: str) -> None:
    """Writes a text file whole or not at all, in a folder that is made if it is missing.

    Raises:
        OutputError: If it cannot be written.
    """
    # names of files need not be valid text
    write_atomically(
        check_target(path),
        lambda part: part.write_text(text, "utf-8", errors="surrogateescape", newline="\n"),
    )


def write_atomically(path: Path, write: Writer) -> None:
    """Writes a file under another name, flushes it to the disk, then renames it.

    Args:
        path: The file to replace; it stays as it is until the new one is complete.
        write: Writes the content to the path that it is given.

    Raises:
        OutputError: If the disk is full or the folder cannot be written.
    """
    write_together({path: write})


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives another name to write a file under, and renames it once the block is done.

    A block that raises leaves nothing behind, and what was at ``path`` as it was.

    Args:
        path: The file to replace.

    Raises:
        OutputError: If the folder cannot be written.
    """
    path = check_target(path)
    partial = _partial(path)
    try:
        yield partial
        write_together({path: partial.replace})
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def write_together(writers: Mapping[Path, Writer]) -> None:
    """Writes files that belong together, and renames them only once all are on the disk.

    Args:
        writers: The files to replace, each with what writes it.

    Raises:
        OutputError: If the disk is full, a folder cannot be written, or one is no file.
    """
    targets = {path: _target(path) for path in writers}
    partials = {target: _partial(target) for target in targets.values()}
    try:
        for path, target in targets.items():
            partial = partials[target]
            writers[path](partial)
            with partial.open("r+b") as file:  # Windows flushes no file that is open for reading
                os.fsync(file.fileno())
        for path, partial in partials.items():
            partial.replace(path)
    except (OSError, RuntimeError) as error:  # torch.save reports a full disk as RuntimeError
        raise OutputError(
            f"cannot write {path}: {error} ({_free(path.parent)}). What was there is unharmed; "
            "make room or choose another folder"
        ) from error
    finally:
        for partial in partials.values():
            with contextlib.suppress(OSError):
                partial.unlink()


def check_target(path: Path) -> Path:
    """Finds out whether a file can be written, before minutes are spent on what goes into it.

    Args:
        path: The file; its folder is made if it is missing.

    Returns:
        Where it lies, through links.

    Raises:
        OutputError: If its folder cannot be written, or it is a folder, a device or a pipe.
    """
    target = _target(path)
    make_folder(target.parent)
    return target


def _target(path: Path) -> Path:
    """Returns where a file lies; a device would be replaced by a file."""
    try:
        other = path.exists() and not path.is_file()
        target = path.resolve() if path.is_symlink() else path
    except (OSError, RuntimeError) as error:  # too long a name, or links in a circle
        raise OutputError(f"cannot write {path}: {error}; choose another file") from error
    if other:
        kind = "a folder" if path.is_dir() else "no regular file"
        raise OutputError(f"{path} is {kind}; give the name of a file")
    return target


def _partial(path: Path) -> Path:
    token = secrets.token_hex(4)  # process numbers repeat where machines share a folder
    return path.with_name(f".{path.name}.partial-{token}")


def make_folder(folder: Path) -> None:
    """Makes a folder where there is none, and finds out whether files can be written there.

    Raises:
        OutputError: If they cannot.
    """
    probe = folder / f".probe-{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error}; choose another folder") from error


@contextlib.contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Holds a folder for this process alone, until it ends or is killed.

    Raises:
        OutputError: If another process holds it.
    """
    path = folder / ".lock"
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise OutputError(
            f"another process is writing into {folder}: wait for it, or choose another folder"
        ) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # before it is released, so that it is ours
            path.unlink()
        lock.release()


def clear_partials(folder: Path, name: str | None = None) -> None:
    """Removes the half-written files that killed processes left in a folder.

    Args:
        folder: The folder.
        name: What they were to become; None for any file.
    """
    wanted = "*" if name is None else glob.escape(name)
    for partial in folder.glob(f".{wanted}.partial-*"):
        partial.unlink(missing_ok=True)


def check_space(folder: Path, needed: int) -> None:
    """Checks that a folder's disk has room.

    Args:
        folder: A folder that exists.
        needed: Bytes that are about to be written.

    Raises:
        OutputError: If fewer are free.
    """
    if shutil.disk_usage(folder).free < needed:
        raise OutputError(
            f"{folder} has too little room ({_free(folder)}, about {needed / 2**20:,.0f} MiB are "
            "needed): make room or choose another folder"
        )


def _free(folder: Path) -> str:
    try:
        return f"{shutil.disk_usage(folder).free / 2**20:,.0f} MiB free"
    except OSError as error:
        return f"free space unknown: {error}"
