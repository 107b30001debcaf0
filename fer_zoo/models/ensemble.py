"""Several models as one."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from fer_zoo.errors import ConfigError
from fer_zoo.labels import label_order
from fer_zoo.models.face_model import FaceModel
from fer_zoo.models.registry import create_model

_INPUT = ("input_size", "mean", "std", "interpolation")


def log_mean_probability(logits: Sequence[Tensor]) -> Tensor:
    """Returns the log of the mean probability of several logits, each (N, C)."""
    mean = torch.stack(list(logits)).softmax(dim=-1).mean(dim=0)
    return mean.clamp_min(torch.finfo(mean.dtype).tiny).log()


def reorder(logits: Tensor, order: Sequence[int]) -> Tensor:
    """Returns the columns of logits (N, C) in another order.

    A list as an index would be copied to a GPU, which waits for it, and which a CUDA graph forbids.
    """
    return torch.stack([logits.select(1, column) for column in order], dim=1)


class Ensemble(FaceModel):
    """The mean of several models' calibrated probabilities.

    Each member's logits are divided by its ``temperature`` (Guo et al. 2017, arXiv:1706.04599)
    before the softmax, so that an overconfident member does not outvote the others. The result is
    the logarithm of the mean: its softmax is the mean itself. It goes wherever a model's logits go,
    :class:`fer_zoo.Predictor` and :func:`fer_zoo.evaluate` included. It has no features or
    classifier of its own: ask its members.

    Args:
        members: Names, folders that training wrote, or models of fer_zoo; names and folders are
            loaded with their weights. Labels may come in any order: the first member's is kept.

    Attributes:
        members: The models.
        label_names: Names of the classes, as the first member orders them.
        pretrained_cfg: The members' common preprocessing.
        temperature: 1, because the members are calibrated.

    Raises:
        ConfigError: If there is no member, or members differ in their labels or preprocessing.

    Shape:
        (N, in_chans, H, W) -> (N, num_classes)

    Example:
        >>> import torch
        >>> from fer_zoo.models import Ensemble, create_model
        >>> ensemble = Ensemble([create_model("alexnet"), create_model("vgg_small")]).eval()
        >>> ensemble(torch.randn(2, 1, 48, 48)).shape
        torch.Size([2, 7])
    """

    def __init__(self, members: Sequence[str | Path | FaceModel]) -> None:
        super().__init__()
        if not members:
            raise ConfigError("an ensemble needs a member: give names, folders or models")
        models = [
            m if isinstance(m, nn.Module) else create_model(m, pretrained=True) for m in members
        ]
        self.members, first = nn.ModuleList(models), models[0]
        self.label_names = tuple(getattr(first, "label_names", ()))
        self.num_classes = len(self.label_names)
        self.num_features, self.head_hidden_size, self.feature_info = 0, 0, []
        self.orders = [self._order(first, member, i) for i, member in enumerate(models)]
        self.pretrained_cfg = {
            key: first.pretrained_cfg.get(key) for key in (*_INPUT, "crop_pct", "crop_mode")
        }
        self.in_chans = self.pretrained_cfg["input_size"][0]

    def _order(self, first: FaceModel, member: FaceModel, i: int) -> list[int]:
        """Returns where a member has each of the ensemble's classes."""
        names = tuple(getattr(member, "label_names", ()))
        try:
            order = label_order(self.label_names, names)
        except ValueError as error:
            raise ConfigError(
                f"member {i} has the labels {', '.join(names) or 'of no classifier'}, the first "
                f"has {', '.join(self.label_names)}; members must share them"
            ) from error
        for key in _INPUT:
            theirs, ours = member.pretrained_cfg[key], first.pretrained_cfg[key]
            if theirs != ours:
                raise ConfigError(
                    f"member {i} has {key} {theirs}, the first has {ours}; members must share "
                    "their preprocessing"
                )
        return order

    def forward(self, x: Tensor) -> Tensor:
        """Returns the logarithm of the members' mean probability."""
        return log_mean_probability(
            [
                reorder(member(x).float() / member.temperature, order)
                for member, order in zip(self.members, self.orders, strict=True)
            ]
        )
