"""PyAV, which reads and writes videos, where it is installed."""

import importlib
from types import ModuleType

from fer_zoo.errors import MissingDependencyError


def import_av() -> ModuleType:
    """Returns the module ``av``.

    Raises:
        MissingDependencyError: If it is not installed.
    """
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise MissingDependencyError(
            f"videos need the extra video ({error}): pip install 'fer_zoo[video]'"
        ) from error
