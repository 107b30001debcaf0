"""Files that are written whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path

from fer_zoo.errors import OutputError


def write_text(path: Path, text: str) -> None:
    """Writes a text file whole or not at all, in a folder that is made if it is missing.

    Raises:
        OutputError: If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {path.parent}: {error}") from error
    write_atomically(path, lambda partial: partial.write_text(text, "utf-8"))


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Writes a file under another name, flushes it to the disk, then renames it.

    Args:
        path: The file to replace; it stays as it is until the new one is complete.
        write: Writes the content to the path that it is given.

    Raises:
        OutputError: If the disk is full or the folder cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        write(partial)
        mask = os.umask(0)
        os.umask(mask)
        partial.chmod(0o666 & ~mask)  # safetensors lets nobody but the owner read
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, RuntimeError) as error:  # torch.save reports a full disk as RuntimeError
        partial.unlink(missing_ok=True)
        raise OutputError(
            f"cannot write {path}: {error}. What was there is unharmed; free some space or choose "
            "another folder"
        ) from error
