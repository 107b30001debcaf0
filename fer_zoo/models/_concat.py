"""What the report's two transformers share: convolutional branches, concatenated as tokens."""

from typing import Any

import torch
from torch import Tensor, nn

from fer_zoo.layers import MultiAttentionDrop, PositionEmbed
from fer_zoo.models._encoder import TokenModel, grid_size


class ConcatTokenModel(TokenModel):
    """Two convolutional branches whose maps are concatenated as tokens, then the encoder.

    What the report's TransFER and CustomCNN + Transformer share; they differ in the stem. A branch
    is a 3x3 convolution with batch normalisation; :class:`MultiAttentionDrop` may zero one of them
    whole (the report: dropout of single elements). Positions are learned (the report: none) and the
    encoder is pre-norm (the report: post-norm, which did not learn under Adam).

    Args:
        stem: Gives a map.
        stem_info: The stem's feature_info.
        img_size: Size that positions are learned at; other sizes interpolate them.
        embed_dim: Width of a token.
        branches: Convolutional branches.
        map_drop: Probability that a sample loses one branch.
        dd: Device and dtype.
        **kwargs: Further arguments of :class:`TokenModel`.
    """

    def __init__(
        self,
        stem: nn.Module,
        stem_info: list[dict[str, Any]],
        *,
        img_size: int | tuple[int, int],
        embed_dim: int,
        branches: int,
        map_drop: float,
        dd: dict[str, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(stem, stem_info, embed_dim=embed_dim, num_prefix_tokens=0, dd=dd, **kwargs)
        channels = stem_info[-1]["num_chs"]
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, embed_dim, 3, padding=1, bias=False, **dd),
                nn.BatchNorm2d(embed_dim, **dd),
            )
            for _ in range(branches)
        )
        self.map_drop = MultiAttentionDrop(map_drop)
        grid = grid_size(img_size, stem_info[-1]["reduction"])
        self.positions: nn.Module = PositionEmbed(embed_dim, grid, **dd)

    def tokenize(self, x: Tensor) -> Tensor:
        """Makes tokens of each branch's map, one branch after the other, (N, branches*H*W, D)."""
        maps = torch.stack([branch(x) for branch in self.branches], dim=1)  # (N, branches, D, H, W)
        placed = self.positions(self.map_drop(maps).flatten(0, 1))  # (N * branches, D, H, W)
        tokens: Tensor = placed.flatten(2).transpose(1, 2)  # (N * branches, H * W, D)
        return tokens.reshape(len(x), -1, tokens.shape[-1])

    def _prune_tokens(self) -> None:
        self.branches, self.positions = nn.ModuleList(), nn.Identity()
