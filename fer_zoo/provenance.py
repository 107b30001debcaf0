"""What must be known of a figure beside the figure: versions, hardware, command and time."""

import contextlib
import importlib.metadata
import os
import platform
import shlex
import sys
import time
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_PACKAGES = ("torch", "torchvision", "timm", "numpy")


def stamp(device: object = "cpu", since: float | None = None) -> dict[str, object]:
    """Returns what is recorded with every figure.

    Args:
        device: Where it was computed.
        since: When the work began, of :func:`time.monotonic`.

    Returns:
        ``versions``, ``hardware``, ``command``, ``finished`` (local time, ISO 8601) and, with
        ``since``, ``seconds``.
    """
    found: dict[str, object] = {
        "versions": versions(),
        "hardware": describe_hardware(device),
        "command": shlex.join(_command(sys.argv)),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    if since is not None:
        found["seconds"] = round(time.monotonic() - since, 2)
    return found


def _command(argv: list[str]) -> list[str]:
    first = Path(argv[0])  # of `python -m PACKAGE` it is the path of a file
    words = ["python", "-m", first.parent.name] if first.name == "__main__.py" else [argv[0]]
    return [*words, *argv[1:]]


def versions() -> dict[str, str]:
    """Returns the versions that shape a number: Python's, and those of the installed packages."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            known = importlib.metadata.version(name)
            found[name] = getattr(sys.modules.get(name), "__version__", known)
    return found


def describe_hardware(device: object = "cpu") -> str:
    """Returns the processor in words, such as ``"AMD EPYC, 2 threads"``, or the name of the GPU."""
    torch = sys.modules.get("torch")
    if str(device).startswith("cuda") and torch is not None:
        return str(torch.cuda.get_device_name(device))
    threads = os.cpu_count() if torch is None else torch.get_num_threads()
    return f"{_processor()}, {threads} threads"


def cpu_features() -> frozenset[str]:
    """Returns the words of Linux's description of the processor; none on other systems."""
    return frozenset(_CPUINFO.read_text("utf-8").split()) if _CPUINFO.is_file() else frozenset()


def _processor() -> str:
    if _CPUINFO.is_file():
        for line in _CPUINFO.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
