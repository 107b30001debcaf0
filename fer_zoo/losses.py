"""Losses of facial-expression recognition, each usable in any training loop."""

from collections.abc import Sequence

import torch
import torch.distributed
import torch.nn.functional as F
from torch import Tensor, nn


class SoftTargetCrossEntropy(nn.Module):
    """Cross-entropy against a distribution per sample, such as annotators' votes.

    Example:
        >>> loss = SoftTargetCrossEntropy()
        >>> loss(torch.zeros(2, 4), torch.full((2, 4), 0.25)).item()  # ln 4
        1.3862943649291992
    """

    def forward(self, logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        """Averages over the samples whose target is known.

        Args:
            logits: (N, C).
            target: Distributions (N, C); rows of ``known`` samples sum to 1.
            known: Bool (N,), which samples count; all by default.

        Returns:
            The mean, a scalar; 0 if no target is known.
        """
        loss = -(target * F.log_softmax(logits.float(), dim=-1)).sum(dim=-1)
        if known is None:
            return loss.mean()
        return (loss * known).sum() / known.sum().clamp(min=1)


def likeliest_allowed(logits: Tensor, allowed: Tensor) -> Tensor:
    """Returns, of the classes that are right for a face, the one with the largest logit.

    Cross-entropy with this target is the multi-target loss of Barsoum et al. 2016,
    arXiv:1608.01041, section 4: minus the log of the largest probability of a right class.

    Args:
        logits: (N, C).
        allowed: (N, C), positive where a class is right; each row has at least one.

    Returns:
        Class indices (N,).

    Example:
        >>> likeliest_allowed(torch.tensor([[9.0, 1.0, 2.0]]), torch.tensor([[0.0, 0.5, 0.5]]))
        tensor([2])
    """
    return logits.detach().masked_fill(allowed <= 0, -torch.inf).argmax(dim=-1)


class DistillationLoss(nn.Module):
    """Kullback-Leibler divergence from a teacher's softened distribution.

    Hinton et al. 2015, arXiv:1503.02531: both sides are softened by the temperature, and its square
    keeps the gradient's size.

    Args:
        temperature: Divides the logits of both sides.

    Example:
        >>> same = torch.randn(2, 7)
        >>> DistillationLoss()(same, same).abs().item() < 1e-6
        True
    """

    def __init__(self, temperature: float = 3.0) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, logits: Tensor, teacher_logits: Tensor) -> Tensor:
        """Returns the mean over samples; both arguments are (N, C)."""
        student = F.log_softmax(logits.float() / self.temperature, dim=-1)
        teacher = F.log_softmax(teacher_logits.float() / self.temperature, dim=-1)
        loss = F.kl_div(student, teacher, reduction="batchmean", log_target=True)
        return loss * self.temperature**2


class AttentiveCenterLoss(nn.Module):
    """Sparse center loss of DACL: attention weighs how features are drawn to their class center.

    Farzaneh & Qi 2021, arXiv:2011.13990. A context encoder reads the last feature map and gives
    every feature dimension a weight in [0, 1]; the loss is half the weighted squared distance from
    the center of the sample's class. Centers follow the paper's rule, not a gradient. Unlike in the
    paper the map is pooled to ``pool_size`` first, so that any input size fits.

    Args:
        num_classes: Number of centers.
        num_features: Dimensions D of the pooled feature vector.
        in_channels: Channels of the feature map; ``num_features`` by default.
        pool_size: Side that the map is pooled to.
        hidden: Widths of the context encoder.
        center_lr: Step of the centers.

    Shape:
        features (N, D), feature map (N, C, H, W), targets (N,) -> a scalar

    Raises:
        ValueError: If the features are not a map, such as the tokens of a transformer.

    Example:
        >>> loss = AttentiveCenterLoss(num_classes=7, num_features=64)
        >>> loss(torch.randn(8, 64), torch.randn(8, 64, 3, 3), torch.arange(8) % 7).shape
        torch.Size([])
    """

    centers: Tensor

    def __init__(
        self,
        num_classes: int,
        num_features: int,
        in_channels: int | None = None,
        pool_size: int = 2,
        hidden: Sequence[int] = (3584, 512, 64),
        center_lr: float = 0.5,
    ) -> None:
        super().__init__()
        self.center_lr = center_lr
        widths = [(in_channels or num_features) * pool_size**2, *hidden]
        layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(pool_size), nn.Flatten()]
        for i, width in enumerate(hidden):
            last = i == len(hidden) - 1
            layers += [
                nn.Linear(widths[i], width),
                nn.BatchNorm1d(width),
                nn.Tanh() if last else nn.ReLU(),
            ]
        self.context = nn.Sequential(*layers)
        self.attention = nn.Linear(hidden[-1], 2 * num_features)
        self.register_buffer("centers", torch.randn(num_classes, num_features))

    def attend(self, feature_map: Tensor) -> Tensor:
        """Returns each feature dimension's weight, (N, D), for a map (N, C, H, W)."""
        if feature_map.ndim != 4:
            raise ValueError(
                f"feature_map must be a map (N, C, H, W), not {tuple(feature_map.shape)}: the "
                "model must be convolutional"
            )
        pairs: Tensor = self.attention(self.context(feature_map))
        pairs = pairs.to(torch.promote_types(pairs.dtype, torch.float32))
        return pairs.view(len(pairs), -1, 2).softmax(dim=-1)[..., 1]

    def forward(self, features: Tensor, feature_map: Tensor, targets: Tensor) -> Tensor:
        """Returns the loss; in training the centers then move towards the features."""
        weights = self.attend(feature_map)
        offset = features.to(weights.dtype) - self.centers[targets].to(weights.dtype)
        if self.training:
            self._move_centers((weights * offset).detach(), targets)
        return (weights * offset**2).sum() / (2 * len(targets))

    def _move_centers(self, pull: Tensor, targets: Tensor) -> None:
        sums = torch.zeros_like(self.centers).index_add_(0, targets, pull.to(self.centers.dtype))
        # bincount would do, but waits for the GPU to tell it the largest target
        counts = sums.new_zeros(len(sums)).index_add_(0, targets, sums.new_ones(len(targets)))
        if torch.distributed.is_initialized():
            torch.distributed.all_reduce(sums)
            torch.distributed.all_reduce(counts)
        self.centers += self.center_lr * sums / (1 + counts).unsqueeze(1)
