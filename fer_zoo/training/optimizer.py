"""timm's optimizer and schedule, as a recipe asks for them."""

from typing import Any

from timm.optim import create_optimizer_v2, param_groups_layer_decay, param_groups_weight_decay
from timm.scheduler import create_scheduler_v2
from timm.scheduler.scheduler import Scheduler
from torch.optim import Optimizer

from fer_zoo.training.config import TrainConfig
from fer_zoo.training.objective import Objective


def build_optimizer(config: TrainConfig, objective: Objective) -> Optimizer:
    """Returns the optimizer of a model and of what is trained beside it.

    Biases, norms and what the model itself excepts have no weight decay.

    Args:
        config: Names the optimizer, rates and decays.
        objective: The model and its auxiliary heads.
    """
    decay, model = config.weight_decay, objective.model
    excepted: Any = getattr(model, "no_weight_decay", set)
    if config.layer_decay < 1:
        groups = param_groups_layer_decay(model, decay, excepted(), layer_decay=config.layer_decay)
    else:
        groups = param_groups_weight_decay(model, decay, excepted())
    for module in objective.auxiliary():
        groups += param_groups_weight_decay(module, decay)
    optimizer: Optimizer = create_optimizer_v2(
        groups, opt=config.optimizer, lr=config.lr, momentum=config.momentum, weight_decay=decay
    )
    return optimizer


def build_scheduler(config: TrainConfig, optimizer: Optimizer, epoch_steps: int) -> Scheduler:
    """Returns the schedule of the learning rate, which counts steps.

    Args:
        config: Names the schedule and its epochs.
        optimizer: The optimizer whose rate it sets.
        epoch_steps: Steps per epoch.
    """
    scheduler, _ = create_scheduler_v2(
        optimizer,
        sched=config.schedule,
        num_epochs=config.epochs,
        decay_milestones=config.milestones,
        decay_rate=config.decay_rate,
        warmup_epochs=config.warmup_epochs,
        warmup_lr=min(config.warmup_lr, config.lr),
        min_lr=config.min_lr,
        step_on_epochs=False,
        updates_per_epoch=epoch_steps,
    )
    return scheduler


__all__ = ["build_optimizer", "build_scheduler"]
