"""From features to logits."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

POOLS = ("avg", "max", "token", "")


class ClassifierHead(nn.Module):
    """Pools a map or tokens, then hidden layers, if any, and a linear classifier.

    One class has the heads of AlexNet and VGG (hidden layers on a pooled grid), of ResNet (global
    pool) and of ViT (class token). A map is pooled to ``grid`` adaptively: any input size fits.

    Args:
        in_features: Channels C of the map, or width D of a token.
        num_classes: Logits; 0 leaves the features as they are.
        global_pool: ``"avg"`` or ``"max"`` over positions, ``"token"`` for the first token, or
            ``""`` for unpooled features, with ``num_classes=0`` only.
        grid: Side of the grid that a map is pooled to.
        hidden: Widths of hidden layers, each with ReLU and dropout.
        drop_rate: Dropout before the classifier and between hidden layers.
        num_prefix_tokens: Tokens in front that stand for no position.

    Raises:
        ValueError: If ``global_pool`` is unknown, is ``"token"`` where no token is in front, or is
            empty with ``num_classes`` above 0.

    Shape:
        (N, C, H, W) or (N, L, D) -> (N, num_classes)

    Example:
        >>> import torch
        >>> from fer_zoo.layers import ClassifierHead
        >>> head = ClassifierHead(64, num_classes=7, grid=3, hidden=(32,))
        >>> head(torch.randn(2, 64, 4, 4)).shape
        torch.Size([2, 7])
        >>> head(torch.randn(2, 64, 4, 4), pre_logits=True).shape
        torch.Size([2, 32])
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        global_pool: str = "avg",
        grid: int = 1,
        hidden: Sequence[int] = (),
        drop_rate: float = 0.0,
        num_prefix_tokens: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.grid, self.num_prefix_tokens = grid, num_prefix_tokens
        widths = [in_features * grid**2, *hidden]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            linear = nn.Linear(before, after, device=device, dtype=dtype)
            nn.init.normal_(linear.weight, std=0.01)  # as in AlexNet and VGG; larger diverges
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.ReLU(), nn.Dropout(drop_rate)]
        self.hidden = nn.Sequential(*(layers or [nn.Dropout(drop_rate)]))
        self.num_features = widths[-1]
        self.global_pool = "avg"
        self.fc: nn.Module = nn.Identity()
        self.reset(num_classes, global_pool, device=device, dtype=dtype)

    def reset(
        self,
        num_classes: int,
        global_pool: str | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Starts a new classifier; the arguments are those of the class.

        Without ``global_pool`` the pool stays; where there is none, classes bring the usual one.

        Raises:
            ValueError: As for the class.
        """
        pool = self.global_pool if global_pool is None else global_pool
        if global_pool is None and num_classes and not pool:  # classes need one again
            pool = "token" if self.num_prefix_tokens else "avg"
        if pool not in POOLS:
            raise ValueError(f"global_pool must be one of {POOLS}, not {pool!r}")
        if pool == "token" and not self.num_prefix_tokens:
            raise ValueError("global_pool='token' needs a class token; there is none: use 'avg'")
        if not pool and num_classes:
            raise ValueError("global_pool='' gives unpooled features and needs num_classes=0")
        self.global_pool = pool
        self.fc = nn.Identity()
        if num_classes:
            self.fc = nn.Linear(self.num_features, num_classes, device=device, dtype=dtype)
            nn.init.normal_(self.fc.weight, std=0.01)
            nn.init.zeros_(self.fc.bias)
        self.fc.train(self.training)

    def pool(self, x: Tensor) -> Tensor:
        """Returns one vector per sample, (N, in_features * grid^2)."""
        if x.ndim == 4 and self.global_pool == "max":
            return F.adaptive_max_pool2d(x, self.grid).flatten(1)
        if x.ndim == 4:
            return F.adaptive_avg_pool2d(x, self.grid).flatten(1)
        if self.global_pool == "token":
            return x[:, 0]
        x = x[:, self.num_prefix_tokens :]
        return x.amax(dim=1) if self.global_pool == "max" else x.mean(dim=1)

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Returns logits.

        Args:
            x: A map or tokens.
            pre_logits: Returns the input of the classifier, (N, num_features).
        """
        if not self.global_pool:
            return x
        x = self.hidden(self.pool(x))
        return x if pre_logits else self.fc(x)
