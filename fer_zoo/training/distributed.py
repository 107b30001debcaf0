"""The processes that train together: one, or those that torchrun started."""

import atexit
import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from fer_zoo.errors import ConfigError
from fer_zoo.inference.device import choose_device


@dataclass(frozen=True)
class World:
    """The processes that train together.

    Args:
        rank: Number of this process.
        size: How many there are.
        device: Where this process computes.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def part(self, batch_size: int) -> slice:
        """Returns the part of every batch that this process computes.

        Raises:
            ConfigError: If the batch does not divide evenly.
        """
        if batch_size % self.size:
            raise ConfigError(f"batch_size {batch_size} must divide by {self.size} processes")
        n = batch_size // self.size
        return slice(self.rank * n, (self.rank + 1) * n)

    def wrap(self, module: nn.Module) -> nn.Module:
        """Wraps a module so that its gradients are averaged over the processes."""
        if self.size == 1:
            return module
        if self.device.type == "cuda":
            module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        else:
            share_batch_norm(module)
        return DistributedDataParallel(module)

    def mean(self, value: Tensor) -> Tensor:
        """Averages a tensor over the processes."""
        if self.size > 1:
            dist.all_reduce(value)
            value = value / self.size
        return value

    def any(self, flag: bool) -> bool:
        """Says whether the flag is set in any process."""
        if self.size == 1:
            return flag
        return bool(self.mean(torch.tensor(float(flag), device=self.device)) > 0)


class _Sum(torch.autograd.Function):
    """Sums a tensor over the processes; the backward pass sums its gradient."""

    @staticmethod
    def forward(ctx: object, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> Tensor:
        total = grad.clone()
        dist.all_reduce(total)
        return total


class SharedBatchNorm(_BatchNorm):
    """Batch norm by the statistics of all processes on CPUs; torch's SyncBatchNorm needs GPUs.

    Shape:
        (N, C, ...) -> the same
    """

    def _check_input_dim(self, input: Tensor) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        """Normalises by the batches of all processes; in eval mode by the running statistics."""
        if not self.training or not dist.is_initialized():
            return super().forward(x)
        dims = [0, *range(2, x.ndim)]
        shape = [1, -1] + [1] * (x.ndim - 2)
        n = dist.get_world_size() * x.numel() // x.shape[1]  # every process has as many
        values = x.float()
        mean = _Sum.apply(values.sum(dims)) / n
        centered = values - mean.view(shape)
        variance = _Sum.apply(centered.square().sum(dims)) / n
        with torch.no_grad():
            for running, now in (
                (self.running_mean, mean),
                (self.running_var, variance * n / (n - 1)),
            ):
                if running is not None and self.momentum is not None:
                    running.lerp_(now.to(running.dtype), self.momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked += 1
        scale = (variance + self.eps).rsqrt() * self.weight
        normal: Tensor = centered * scale.view(shape) + self.bias.view(shape)
        return normal.to(x.dtype)


def share_batch_norm(module: nn.Module) -> None:
    """Makes the batch norm layers of a module share statistics; their parameters stay."""
    for name, child in module.named_children():
        if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d)):
            shared = SharedBatchNorm(child.num_features, child.eps, child.momentum)
            shared.load_state_dict(child.state_dict())
            shared.weight, shared.bias = child.weight, child.bias
            setattr(module, name, shared.train(child.training))
        else:
            share_batch_norm(child)


def join_world(device: str | torch.device | None = None) -> World:
    """Joins the processes that torchrun started; without torchrun there is one.

    A script may train several times; its processes stay joined until they end.

    Args:
        device: Where to compute; by default CUDA where there is one, else the CPU.

    Raises:
        ConfigError: If this machine has no such device.
    """
    rank, size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if device is None:
        local = int(os.environ.get("LOCAL_RANK", 0))
        device = f"cuda:{local}" if torch.cuda.is_available() else "cpu"
    device = choose_device(device)
    if size > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(_leave)  # not before, as processes cannot join a second time
    return World(rank, size, device)


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
