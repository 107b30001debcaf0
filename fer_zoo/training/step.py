"""One optimizer step, and the state that it changes."""

from contextlib import AbstractContextManager, nullcontext

import torch
from timm.utils import ModelEmaV3, dispatch_clip_grad
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from fer_zoo.inference.device import gains_from_bfloat16, gains_from_channels_last, has_graphs
from fer_zoo.layers import MultiHeadSelfAttention
from fer_zoo.models import FaceModel
from fer_zoo.training.checkpoint import State
from fer_zoo.training.config import TrainConfig
from fer_zoo.training.distributed import World
from fer_zoo.training.objective import Batch, Objective
from fer_zoo.training.optimizer import build_optimizer, build_scheduler, fuse, load_optimizer
from fer_zoo.training.teacher import Teacher

_Pair = tuple[list[Tensor], list[Tensor]]


class TrainingStep:
    """Takes optimizer steps; holds optimizer, schedule, averaged weights and precision.

    Args:
        config: The recipe.
        model: The model to train, on the world's device.
        world: The processes that train together.
        epoch_steps: Steps per epoch.
        class_weights: Weight of each class (num_classes,), where classes are weighed.

    Attributes:
        model: The model that is trained.
        objective: The model with its auxiliary heads.
        averaged: The model to validate and publish: the averaged weights if there are any.
        teacher: A model that gives each batch its teacher logits, or None.
        bfloat16: Whether forward passes compute in bfloat16.
        fused: Whether the optimizer's step can be a part of a CUDA graph.

    Raises:
        ConfigError: If the optimizer or the schedule does not take the settings.
    """

    def __init__(
        self,
        config: TrainConfig,
        model: FaceModel,
        world: World,
        epoch_steps: int,
        class_weights: Tensor | None = None,
    ) -> None:
        self.config, self.model, self.world = config, model, world
        self.teacher: Teacher | None = None
        self._choose_precision()
        self.objective = Objective(model, config, class_weights).to(world.device)
        if config.freeze:
            head = model.get_classifier(name_only=True)
            for name, parameter in model.named_parameters():
                parameter.requires_grad = name.startswith(f"{head}.")
        self.wrapped = world.wrap(self.objective)
        self.ema = (
            ModelEmaV3(model, config.ema_decay, use_warmup=True) if config.ema_decay else None
        )
        self.averaged: nn.Module = model if self.ema is None else self.ema.module
        self._pairs = _pairs(self.averaged, model)
        self.optimizer = build_optimizer(config, self.objective)
        self.scheduler = build_scheduler(config, self.optimizer, epoch_steps)
        self.fused = has_graphs(world.device) and fuse(self.optimizer)
        groups = self.optimizer.param_groups
        self.rates = [torch.zeros((), device=world.device) for _ in groups]  # where it is fused

    def _choose_precision(self) -> None:
        config, gains = self.config, gains_from_bfloat16(self.world.device)
        self.bfloat16 = config.precision == "bfloat16" or (config.precision == "auto" and gains)
        self.memory_format = torch.contiguous_format
        gains = gains_from_channels_last(self.world.device)
        if config.channels_last == "on" or (config.channels_last == "auto" and gains):
            self.memory_format = torch.channels_last
        self.model.to(memory_format=self.memory_format)
        # in bfloat16 the backward pass of a CPU's fused attention takes six times as long as the
        # plain one's (256 faces, 8 heads, 72 tokens of 24 numbers, Zen 5)
        slow = self.bfloat16 and self.world.device.type == "cpu"
        self.plain_attention = slow and any(
            isinstance(module, MultiHeadSelfAttention) for module in self.model.modules()
        )

    def train(self) -> None:
        """Sets the modes for an epoch of training."""
        self.wrapped.train()
        if self.config.freeze:
            self.model.eval()  # batch norm of the body keeps its statistics

    def __call__(self, batch: Batch, update: int) -> tuple[Tensor, Tensor]:
        """Takes one optimizer step: forward, backward, update of weights and averages.

        Args:
            batch: This process's part of the batch.
            update: Number of the step since the beginning of training.

        Returns:
            The mean loss, and the number of correct faces; both are scalars on the device.
        """
        self.schedule(update)
        result = self.compute_gradients(batch)
        self.update_weights()
        self.update_averages(update)
        return result

    def schedule(self, update: int) -> None:
        """Sets the learning rates of a step."""
        self.scheduler.step_update(update)
        if self.fused:
            for rate, group in zip(self.rates, self.optimizer.param_groups, strict=True):
                rate.fill_(group["lr"])

    def compute_gradients(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Runs the model forward and backward; a CUDA graph can hold it.

        Args:
            batch: This process's part of the batch.

        Returns:
            The mean loss, and the number of correct faces; both are scalars on the device.
        """
        batch.images = batch.images.contiguous(memory_format=self.memory_format)
        if self.teacher is not None:
            with self._autocast():
                batch.teacher_logits = self.teacher(batch.images)
        self.optimizer.zero_grad(set_to_none=True)
        loss = torch.zeros((), device=self.world.device)
        correct = torch.zeros((), dtype=torch.long, device=self.world.device)
        for part in batch.chunks(self.config.accumulate):
            with self._autocast(), self._attention():
                part_loss, logits = self.wrapped(part)
            (part_loss / self.config.accumulate).backward()
            loss += part_loss.detach() / self.config.accumulate
            hard = part.targets if part.targets.ndim == 1 else part.targets.argmax(dim=1)
            correct += (logits.detach().argmax(dim=1) == hard).sum()
        if self.config.clip_grad:
            dispatch_clip_grad(self.objective.parameters(), self.config.clip_grad)
        return loss, correct

    def update_weights(self) -> None:
        """Takes the optimizer's step; if it is fused, a CUDA graph can hold it."""
        if not self.fused:
            self.optimizer.step()
            return
        groups = self.optimizer.param_groups
        numbers = [group["lr"] for group in groups]
        for group, rate in zip(groups, self.rates, strict=True):
            group["lr"] = rate
        self.optimizer.step()
        for group, number in zip(groups, numbers, strict=True):
            group["lr"] = number

    @torch.no_grad()
    def update_averages(self, update: int) -> None:
        """Moves the averaged weights towards the model's, as timm's ModelEmaV3 does.

        Its own ``update`` lists all tensors at each step, for which a GPU would wait.
        """
        if self.ema is not None:
            decay = self.ema.get_decay(update)
            (averages, weights), (copies, counts) = self._pairs
            torch._foreach_lerp_(averages, weights, 1 - decay)
            if counts:
                torch._foreach_copy_(copies, counts)

    @torch.no_grad()
    def predict(self, model: nn.Module, x: Tensor) -> Tensor:
        """Returns a model's logits (N, num_classes), computed as in training, in float32."""
        with self._autocast():
            logits: Tensor = model(x.contiguous(memory_format=self.memory_format))
        return logits.float()

    def _autocast(self) -> torch.autocast:
        # without its cache, which would keep tensors of a CUDA graph's warm-up
        kind, enabled = self.world.device.type, self.bfloat16
        return torch.autocast(kind, torch.bfloat16, enabled=enabled, cache_enabled=False)

    def _attention(self) -> AbstractContextManager[None]:
        return sdpa_kernel(SDPBackend.MATH) if self.plain_attention else nullcontext()

    def nonfinite(self) -> list[str]:
        """Returns the names of tensors that are not finite; a loss shows them one step later."""
        tensors = self.objective.state_dict() | (self.ema.state_dict() if self.ema else {})
        tensors = {name: t for name, t in tensors.items() if t.is_floating_point()}
        finite = torch.stack([t.isfinite().all() for t in tensors.values()]).tolist()
        return [name for name, good in zip(tensors, finite, strict=True) if not good]

    def changing(self) -> list[Tensor]:
        """Returns the tensors that a step changes, without the averaged weights."""
        values = [v for state in self.optimizer.state.values() for v in state.values()]
        return [*self.objective.state_dict().values(), *filter(torch.is_tensor, values)]

    def state_dict(self) -> State:
        """Returns the state that a checkpoint needs to continue bit for bit."""
        return {
            "objective": self.objective.state_dict(),
            "ema": self.ema.state_dict() if self.ema is not None else None,
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        """Restores what :meth:`state_dict` returned."""
        self.objective.load_state_dict(state["objective"])
        load_optimizer(self.optimizer, state["optimizer"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])

    def nbytes(self) -> int:
        """Returns an upper bound of the bytes of a checkpoint and a weight file together.

        An optimizer keeps at most two numbers per weight, as Adam does.
        """
        objective, model = _bytes(self.objective), _bytes(self.model)
        return 3 * objective + model * (1 if self.ema is None else 2)


def _pairs(averaged: nn.Module, model: nn.Module) -> tuple[_Pair, _Pair]:
    """Returns averaged tensors and the model's: those of numbers to average, and counts."""
    numbers: _Pair = ([], [])
    counts: _Pair = ([], [])
    pairs = zip(averaged.state_dict().values(), model.state_dict().values(), strict=True)
    for average, value in pairs:
        averages, values = numbers if average.is_floating_point() else counts
        averages.append(average)
        values.append(value)
    return numbers, counts


def _bytes(module: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in module.state_dict().values())
