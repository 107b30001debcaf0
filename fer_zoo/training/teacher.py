"""The teacher of distillation: trained models whose logits a student learns."""

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fer_zoo.errors import ConfigError
from fer_zoo.inference.logits import predict_logits
from fer_zoo.labels import label_order
from fer_zoo.models import Ensemble
from fer_zoo.models.ensemble import reorder


class Teacher(nn.Module):
    """Trained models as an ensemble, for distillation (Hinton et al. 2015, arXiv:1503.02531).

    A call takes the student's input, and enlarges it to the teacher's own size where the student
    trains on smaller images. :meth:`predict_fixed_views` takes faces before augmentation, once for
    the whole training. No gradients are computed.

    Args:
        names: Names or folders of models, separated by commas.
        label_names: The student's classes.

    Raises:
        ConfigError: If the classes differ from the student's.
        WeightsError: If a model cannot be loaded.

    Shape:
        (N, in_chans, H, W) -> logits (N, num_classes) in the student's order of classes
    """

    def __init__(self, names: str, label_names: Sequence[str]) -> None:
        super().__init__()
        self.ensemble = Ensemble([name.strip() for name in names.split(",") if name.strip()])
        theirs = self.ensemble.label_names
        try:
            self.order = label_order(label_names, theirs)
        except ValueError as error:
            raise ConfigError(
                f"teacher = {names} knows {', '.join(theirs)}, the student learns "
                f"{', '.join(label_names)}: give a teacher of the same labels, or "
                'teacher = "" for none'
            ) from error
        self.size = self.ensemble.pretrained_cfg["input_size"][-2:]
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Returns the teacher's logits for the student's input."""
        if images.shape[-2:] != self.size:
            images = F.interpolate(images, size=self.size, mode="bilinear", align_corners=False)
        return reorder(self.ensemble(images), self.order)

    def predict_fixed_views(self, batches: Iterable[Tensor]) -> Tensor:
        """Returns the logits of faces without augmentation, averaged with their mirror images.

        Args:
            batches: uint8 faces (N, H, W).

        Returns:
            float32 (all faces, num_classes) on the CPU, in the student's order of classes.
        """
        logits = [predict_logits(self.ensemble, faces, flip=True) for faces in batches]
        return reorder(torch.cat(logits), self.order)


__all__ = ["Teacher"]
