"""The optimizer and the schedule of a recipe, made by timm."""

from collections.abc import Callable, Set
from typing import Any

import torch
from timm.optim import create_optimizer_v2, param_groups_layer_decay, param_groups_weight_decay
from timm.scheduler import create_scheduler_v2
from timm.scheduler.scheduler import Scheduler
from torch import Tensor
from torch.optim import Optimizer

from fer_zoo.errors import ConfigError
from fer_zoo.training.config import TrainConfig
from fer_zoo.training.objective import Objective


def build_optimizer(config: TrainConfig, objective: Objective) -> Optimizer:
    """Returns the optimizer of a model and its auxiliary heads.

    Parameters that the model's ``no_weight_decay`` names have no weight decay. Biases and norm
    layers have none either, unless ``decay_norms`` is set.

    Args:
        config: Names the optimizer, learning rates and decays.
        objective: The model and its auxiliary heads.

    Raises:
        ConfigError: If timm has no such optimizer, or the optimizer does not take the settings.
    """
    decay, model = config.weight_decay, objective.model
    names: Callable[[], Set[str]] = getattr(model, "no_weight_decay", set)
    rules = {"no_weight_decay_list": names(), "weight_decay_exclude_1d": not config.decay_norms}
    if config.layer_decay < 1:
        groups = param_groups_layer_decay(model, decay, layer_decay=config.layer_decay, **rules)
    else:
        groups = param_groups_weight_decay(model, decay, **rules)
    for module in objective.auxiliary():
        groups += param_groups_weight_decay(module, decay)
    settings = {"lr": config.lr, "momentum": config.momentum, "weight_decay": decay}
    try:
        optimizer: Optimizer = create_optimizer_v2(groups, opt=config.optimizer, **settings)
    except (ValueError, AssertionError) as error:
        raise ConfigError(f"optimizer = {config.optimizer}: {error}") from error
    return optimizer


def fuse(optimizer: Optimizer) -> bool:
    """Makes an optimizer take a step in one kernel, which reads numbers of the GPU's memory.

    Such a step takes learning rates as tensors, so that it can be a part of a CUDA graph.

    Args:
        optimizer: The optimizer to change.

    Returns:
        Whether torch has such a kernel for it: for SGD, Adam and AdamW.
    """
    if type(optimizer) not in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW):
        return False
    for group in optimizer.param_groups:
        group["fused"] = True
        if "capturable" in group:
            group["capturable"] = True
    return True


def load_optimizer(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Restores an optimizer's state, also one that was saved on another kind of device.

    Args:
        optimizer: The optimizer; it keeps its own kernels.
        state: What its ``state_dict`` returned.

    Raises:
        ValueError: If the state is that of other parameters.
    """
    own = [
        {key: group[key] for key in ("fused", "capturable", "foreach") if key in group}
        for group in optimizer.param_groups
    ]
    groups = [saved | kernels for saved, kernels in zip(state["param_groups"], own, strict=True)]
    optimizer.load_state_dict({**state, "param_groups": groups})
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if isinstance(value, Tensor) and name != "step" and value.shape == parameter.shape:
                # fused kernels need the layout of the parameter
                values[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def build_scheduler(config: TrainConfig, optimizer: Optimizer, epoch_steps: int) -> Scheduler:
    """Returns the schedule of the learning rate; it counts steps.

    Args:
        config: Names the schedule and its epochs.
        optimizer: The optimizer whose learning rate it sets.
        epoch_steps: Steps per epoch.

    Raises:
        ConfigError: If timm has no such schedule that counts steps.
    """
    try:
        scheduler, _ = create_scheduler_v2(
            optimizer,
            sched=config.schedule,
            num_epochs=config.epochs,
            decay_milestones=config.milestones,
            decay_rate=config.decay_rate,
            warmup_epochs=config.warmup_epochs,
            warmup_lr=min(config.warmup_lr, config.lr),
            min_lr=min(config.min_lr, config.lr),
            step_on_epochs=False,
            updates_per_epoch=epoch_steps,
        )
    except (AssertionError, ValueError):  # unknown, or one that waits for an epoch's figures
        scheduler = None
    if scheduler is None:
        raise ConfigError(
            f"schedule = {config.schedule} cannot be used with {config.epochs} epochs and "
            f"{config.warmup_epochs} of warm-up: take cosine, multistep, step, poly, tanh or "
            "constant"
        )
    return scheduler


__all__ = ["build_optimizer", "build_scheduler", "fuse", "load_optimizer"]
