"""Sessions of onnxruntime, opened and run in one way."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fer_zoo.errors import ConfigError, MissingDependencyError, WeightsError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def open_session(content: bytes, file: str | Path, threads: int | None = None) -> InferenceSession:
    """Opens the content of an ``.onnx`` file on the CPU.

    Args:
        content: All its bytes.
        file: Its name, for messages.
        threads: Of one pass; by default as many as there are cores.

    Raises:
        MissingDependencyError: If onnxruntime is not installed.
        WeightsError: If the content is damaged.
        ConfigError: If ``threads`` is no whole number from 1.
    """
    try:
        onnxruntime = import_onnxruntime()
    except ImportError as error:
        raise MissingDependencyError(
            f"{file} needs the extra onnx ({error}): pip install 'fer_zoo[onnx]'"
        ) from error
    if threads is not None and (type(threads) is not int or threads < 1):
        raise ConfigError(f"threads is {threads!r}; it must be a whole number from 1")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 4  # errors are raised; warnings concern who wrote the file
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common base but this
        raise WeightsError(f"{file} is damaged ({error}); export it again") from error


def import_onnxruntime() -> ModuleType:
    """Imports onnxruntime, which from 1.29 on reports its use to its makers unless told otherwise.

    The environment variable ``ORT_DISABLE_TELEMETRY`` tells it when it is imported; where it is set
    already it stays as it is.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return importlib.import_module("onnxruntime")


def run_session(
    session: InferenceSession, batch: NDArray[Any], name: str | None = None
) -> NDArray[np.float32]:
    """Returns the only output for the only input.

    Args:
        session: What computes it.
        batch: The input.
        name: That of the input; asking for it takes microseconds.

    Raises:
        WeightsError: If it cannot be computed.
    """
    name = name or session.get_inputs()[0].name
    try:
        output: NDArray[np.float32] = session.run(None, {name: batch})[0]
    except Exception as error:  # its errors have no common base but this
        raise WeightsError(
            f"onnxruntime cannot compute an input {batch.shape} ({error}); export the model again, "
            "or give a smaller batch_size where the memory is short"
        ) from error
    return output
