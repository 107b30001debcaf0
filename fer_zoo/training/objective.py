"""The objective: a model, its auxiliary heads and the weighted sum of their losses."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fer_zoo.errors import ConfigError
from fer_zoo.labels import FERPLUS_LABELS
from fer_zoo.losses import (
    AttentiveCenterLoss,
    DistillationLoss,
    SoftTargetCrossEntropy,
    likeliest_allowed,
)
from fer_zoo.models import FaceModel
from fer_zoo.training.config import TrainConfig


@dataclass
class Batch:
    """The faces of one step, their labels, votes and teacher logits.

    Args:
        images: Network input (N, C, H, W).
        targets: Class indices (N,), or distributions (N, num_classes).
        votes: FER+ distributions (N, 8), where the recipe uses them.
        voted: Bool (N,), which faces have FER+ votes.
        teacher_logits: Logits of the teacher (N, num_classes), where the recipe distils.
    """

    images: Tensor
    targets: Tensor
    votes: Tensor | None = None
    voted: Tensor | None = None
    teacher_logits: Tensor | None = None

    def chunks(self, n: int) -> list["Batch"]:
        """Splits the batch into n parts of one size."""
        columns = [[None] * n if value is None else value.chunk(n) for value in vars(self).values()]
        return [Batch(*parts) for parts in zip(*columns, strict=True)]


class Objective(nn.Module):
    """A model with the heads and losses that only training needs.

    It is one module: heads and centers are trained, averaged over processes and checkpointed with
    the model. Published weights are those of ``.model`` alone.

    Args:
        model: The model to train.
        config: Weights of the losses.
        class_weights: Weight of each class (num_classes,), where classes are weighed.

    Shape:
        a :class:`Batch` -> (loss, logits (N, num_classes))
    """

    class_weights: Tensor | None

    def __init__(
        self, model: FaceModel, config: TrainConfig, class_weights: Tensor | None = None
    ) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.register_buffer("class_weights", class_weights)
        self.distillation = DistillationLoss(config.distillation_temperature)
        self.votes_loss = SoftTargetCrossEntropy()
        self.votes_head: nn.Linear | None = None
        if config.ferplus_weight:
            self.votes_head = nn.Linear(model.head_hidden_size, len(FERPLUS_LABELS))
        self.center_loss: AttentiveCenterLoss | None = None
        if config.center_loss_weight:
            self.center_loss = AttentiveCenterLoss(
                model.num_classes, model.head_hidden_size, model.num_features
            )

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Returns the weighted sum of the losses, and the logits."""
        last_map = self.model.forward_features(batch.images)
        features = self.model.forward_head(last_map, pre_logits=True)
        classifier: Any = self.model.get_classifier()
        logits: Tensor = classifier(features)
        targets = batch.targets
        if self.config.ferplus_target == "multi":
            targets = likeliest_allowed(logits, targets)
        loss = F.cross_entropy(
            logits.float(),
            targets,
            weight=self.class_weights,
            label_smoothing=self.config.label_smoothing,
        )
        if batch.teacher_logits is not None:
            weight = self.config.distillation_weight
            distilled = self.distillation(logits, batch.teacher_logits)
            loss = (1 - weight) * loss + weight * distilled
        if self.votes_head is not None and batch.votes is not None:
            votes_loss = self.votes_loss(self.votes_head(features), batch.votes, batch.voted)
            loss = loss + self.config.ferplus_weight * votes_loss
        if self.center_loss is not None:
            if last_map.ndim != 4:
                raise ConfigError(
                    f"the center loss reads a feature map (N, C, H, W), and {self.config.model} "
                    "gives tokens: set center_loss_weight = 0"
                )
            center_loss = self.center_loss(features, last_map, targets)
            loss = loss + self.config.center_loss_weight * center_loss
        return loss, logits

    def auxiliary(self) -> list[nn.Module]:
        """Returns the modules beside the model that have parameters."""
        return [m for m in (self.votes_head, self.center_loss) if m is not None]


def class_weights(targets: Tensor, num_classes: int) -> Tensor:
    """Returns inverse class frequencies (num_classes,), scaled so that samples average 1.

    Args:
        targets: Class indices (N,).
        num_classes: How many classes there are.
    """
    counts = torch.bincount(targets, minlength=num_classes).float()
    return len(targets) / (counts.clamp(min=1) * num_classes)
