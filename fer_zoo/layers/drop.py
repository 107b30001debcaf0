"""Dropping of whole attention maps, branches or heads."""

import torch
from torch import Tensor, nn


class MultiAttentionDrop(nn.Module):
    """Zeroes one whole map of a sample, so that the model must learn from the others too.

    MAD of TransFER (Xue et al. 2021, arXiv:2108.11116): in training each sample loses, with
    probability ``p``, exactly one of its maps, each as likely. Nothing is rescaled. Along another
    ``dim`` it drops branches, or attention heads (the paper's MSAD). Unlike element-wise dropout it
    never leaves a part of a map, and unlike :class:`torch.nn.Dropout2d` it never drops two maps.

    Args:
        p: Probability that a sample loses a map.
        dim: Dimension that counts the maps.

    Raises:
        ValueError: If ``p`` is not a probability, or ``dim`` is the batch.

    Shape:
        (N, M, H, W), or any (N, ...) with maps along ``dim`` -> the same

    Example:
        >>> import torch
        >>> from fer_zoo.layers import MultiAttentionDrop
        >>> maps = MultiAttentionDrop(p=1.0)(torch.ones(4, 3, 6, 6))
        >>> maps.sum(dim=(1, 2, 3)).tolist()  # two of three maps are left
        [72.0, 72.0, 72.0, 72.0]
    """

    def __init__(self, p: float = 0.6, dim: int = 1) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"p must lie in [0, 1], not {p}")
        if dim == 0:
            raise ValueError("dim must not be 0, the samples: choose the one that counts the maps")
        self.p, self.dim = p, dim

    def forward(self, x: Tensor) -> Tensor:
        """Returns ``x`` with at most one map of each sample zeroed; in eval ``x`` itself."""
        if not self.training or self.p == 0:
            return x
        samples, maps = x.shape[0], x.shape[self.dim]
        loses = torch.rand([samples, 1], device=x.device) < self.p
        chosen = torch.randint(maps, [samples, 1], device=x.device)
        drop = loses & (torch.arange(maps, device=x.device) == chosen)  # (N, M)
        shape = [1] * x.ndim
        shape[0], shape[self.dim] = samples, maps
        return x.masked_fill(drop.view(shape), 0)

    def extra_repr(self) -> str:
        """Shows the settings."""
        return f"p={self.p}, dim={self.dim}"
