"""Many training runs: each after its teachers, several at once, resumable."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from fer_zoo.errors import ConfigError, FerZooError, TrainingError
from fer_zoo.training.checkpoint import CHECKPOINT_NAME
from fer_zoo.training.config import TrainConfig
from fer_zoo.training.loop import TrainResult
from fer_zoo.training.run import start


@dataclass(frozen=True)
class Sweep:
    """Training runs that share data and a folder.

    A run whose ``teacher`` names other runs of the sweep waits for them and learns from what they
    leave. Its own folder is ``out/<name>``. Calling :meth:`run` again continues after an
    interruption and skips finished runs.

    Args:
        runs: The settings of each run, by its name. What does not fit the data (FER+ votes, a
            teacher with other classes) is left out, as :func:`fer_zoo.train` does with a recipe.
        data: Where the faces lie, as :func:`fer_zoo.train` takes it.
        out: The folder of the runs' folders.

    Raises:
        ConfigError: If teachers form a circle.
    """

    runs: Mapping[str, TrainConfig]
    data: str | Path
    out: Path

    def __post_init__(self) -> None:
        self.order()

    def order(self) -> list[str]:
        """Returns the names of the runs, each after its teachers."""
        left, done = dict(self.runs), list[str]()
        while left:
            ready = [name for name in left if not set(self.teachers(name)) & set(left)]
            if not ready:
                raise ConfigError(f"the runs {', '.join(left)} wait for each other's weights")
            done += ready
            for name in ready:
                del left[name]
        return done

    def teachers(self, name: str) -> list[str]:
        """Returns the runs of this sweep that teach a run."""
        named = [teacher.strip() for teacher in self.runs[name].teacher.split(",")]
        return [teacher for teacher in named if teacher in self.runs]

    def run(self, jobs: int = 1, time_limit: float | None = None) -> Iterator[TrainResult]:
        """Trains, and yields each run as it ends.

        Args:
            jobs: Runs at once; they share the processors, or the GPU.
            time_limit: Minutes for all runs together; a run that it stops can be continued.

        Raises:
            TrainingError: At the end, if runs failed; it names them and says why.
        """
        deadline = None if time_limit is None else time.time() + 60 * time_limit
        waiting, finished, failed = self.order(), set[str](), list[str]()
        running = dict[Future[TrainResult], str]()
        threads = max(1, (os.cpu_count() or 1) // jobs)
        with _pool(jobs, threads) as pool:
            while True:
                for name in [n for n in waiting if set(self.teachers(n)) <= finished]:
                    if len(running) == jobs:
                        break
                    waiting.remove(name)
                    future = pool.submit(
                        _train, self._config(name), self.data, self.out / name, deadline, jobs == 1
                    )
                    running[future] = name
                if not running:  # what still waits has teachers that did not finish
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    name = running.pop(future)
                    try:
                        result = future.result()
                    except FerZooError as error:  # the other runs go on
                        failed.append(f"{name}: {error}")
                        continue
                    if result.finished:
                        finished.add(name)
                    yield result
        if failed:
            raise TrainingError("\n".join(failed))

    def _config(self, name: str) -> TrainConfig:
        """Returns the settings of a run, with the folders of the teachers."""
        config = self.runs[name]
        own = set(self.teachers(name))
        teachers = [t.strip() for t in config.teacher.split(",")]
        teacher = ",".join(str(self.out / t) if t in own else t for t in teachers)
        return replace(config, teacher=teacher)


class _InThisProcess(Executor):
    """Runs each call at once, in the process that submits it."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Returns the call's future, which is done."""
        future = Future[Any]()
        try:
            future.set_result(fn(*args, **kwargs))
        except FerZooError as error:
            future.set_exception(error)
        return future


def _pool(jobs: int, threads: int) -> Executor:
    if jobs == 1:
        return _InThisProcess()
    spawn = get_context("spawn")  # CUDA cannot be used in a fork
    return ProcessPoolExecutor(jobs, spawn, torch.set_num_threads, (threads,))


def _train(
    config: TrainConfig, data: str | Path, folder: Path, deadline: float | None, progress: bool
) -> TrainResult:
    left = None if deadline is None else max(0.0, deadline - time.time()) / 60
    resume = (folder / CHECKPOINT_NAME).exists()
    return start(lambda _: config, {}, data, folder, resume, left, progress=progress)


__all__ = ["Sweep"]
