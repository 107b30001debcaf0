"""The whole of a training step as one CUDA graph, which a GPU runs without waiting for launches."""

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from fer_zoo.errors import TrainingError
from fer_zoo.inference.device import has_graphs
from fer_zoo.training.loader import Draws, TrainLoader
from fer_zoo.training.step import TrainingStep

_logger = logging.getLogger(__name__)


#: Takes one optimizer step, as :class:`CapturedStep` does.
Stepper = Callable[[Draws, tuple[int, int], int], tuple[Tensor, Tensor]]


def obstacle(step: TrainingStep, loader: TrainLoader) -> str:
    """Returns why steps cannot be captured; an empty text if they can.

    Args:
        step: The step.
        loader: The training faces.
    """
    if not has_graphs(step.world.device):
        return f"{step.world.device.type} has no CUDA graphs"
    if step.world.size > 1:
        return f"{step.world.size} processes share each batch"
    if loader.faces.index_device != step.world.device:
        return "the faces are read from a disk"
    return ""


def choose_stepper(step: TrainingStep, loader: TrainLoader) -> Stepper:
    """Returns what takes the steps of a run; on a GPU it logs why they cannot be captured.

    Args:
        step: The step.
        loader: Makes batches of draws.
    """
    if step.config.capture == "auto":
        reason = obstacle(step, loader)
        if not reason:
            return CapturedStep(step, loader)
        if has_graphs(step.world.device) and step.world.is_main:
            _logger.info("steps are not captured as a CUDA graph: %s", reason)
    return lambda draws, size, update: step(loader.batch(draws, size), update)


class CapturedStep:
    """Takes training steps as a function of buffers at fixed places in memory.

    On a GPU the function is captured as a CUDA graph at its first step, and again at the first step
    of another image size: augmentation, mixup, forward, backward, clipping and the update of the
    weights. Averaged weights follow in one kernel more, and so does an optimizer that torch cannot
    capture. Elsewhere the function itself runs, to the same bits as :class:`TrainingStep`.

    Args:
        step: The step, whose model, optimizer and averages change.
        loader: Makes batches of draws.

    Raises:
        TrainingError: If the GPU cannot capture the step.
    """

    def __init__(self, step: TrainingStep, loader: TrainLoader) -> None:
        self.step, self.loader, self.size = step, loader, (0, 0)
        self._buffers: Draws
        self._result: tuple[Tensor, Tensor]
        self._replay: Callable[[], object] = self._run

    def __call__(self, draws: Draws, size: tuple[int, int], update: int) -> tuple[Tensor, Tensor]:
        """Takes one optimizer step.

        Args:
            draws: What the loader drew for the step.
            size: Height and width of the faces in pixels.
            update: Number of the step since the beginning of training.

        Returns:
            The mean loss, and the number of correct faces; both are scalars on the device.
        """
        self.step.schedule(update)
        if size != self.size:
            self._prepare(draws, size)
        for name, value in vars(draws).items():
            getattr(self._buffers, name).copy_(value)
        self._replay()
        if not self.step.fused:
            self.step.update_weights()
        self.step.update_averages(update)
        loss, correct = self._result
        return loss.clone(), correct.clone()  # the next step writes into them

    def _run(self) -> None:
        batch = self.loader.batch(self._buffers, self.size)
        self._result = self.step.compute_gradients(batch)
        if self.step.fused:
            self.step.update_weights()

    def _prepare(self, draws: Draws, size: tuple[int, int]) -> None:
        """Makes the buffers, and on a GPU captures the function for an image size."""
        self.size, self._buffers = size, Draws(*(value.clone() for value in vars(draws).values()))
        self._replay = self._run  # frees the graph of the size before
        if has_graphs(self.step.world.device):
            with torch.cuda.device(self.step.world.device):
                self._capture_without_a_trace()

    def _capture_without_a_trace(self) -> None:
        """Captures the function, and restores what the steps before the capture changed."""
        kept = {tensor.data_ptr(): tensor.clone() for tensor in self.step.changing()}
        generator = torch.cuda.get_rng_state()
        try:
            self._capture()
        finally:
            torch.cuda.synchronize()
            for tensor in self.step.changing():
                before = kept.get(tensor.data_ptr())
                if before is None:  # the optimizer made it just now, and begins with zeros
                    tensor.zero_()
                else:
                    tensor.copy_(before)
            torch.cuda.set_rng_state(generator)

    def _capture(self) -> None:
        side: torch.cuda.Stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            try:
                self._run()
                with _no_waiting():
                    self._run()
            except torch.cuda.OutOfMemoryError:
                raise
            except RuntimeError as error:
                _logger.warning("steps are not captured as a CUDA graph: %s", _first_line(error))
                return
            graph = torch.cuda.CUDAGraph()
            try:
                with torch.cuda.graph(graph, stream=side):
                    self._run()
            except RuntimeError as error:  # random numbers may fail from here on
                raise TrainingError(
                    f"the GPU cannot capture the training step ({_first_line(error)}): go on with "
                    "--resume --capture off"
                ) from error
        self._replay = graph.replay


@contextlib.contextmanager
def _no_waiting() -> Iterator[None]:
    """Makes operations fail that wait for the GPU; a capture would fail beyond repair."""
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls this mode a prototype
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode(before)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


__all__ = ["CapturedStep", "Stepper", "choose_stepper", "obstacle"]
