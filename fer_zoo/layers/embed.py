"""Maps as tokens with learned positions."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def resize_positions(position: Tensor, size: tuple[int, int]) -> Tensor:
    """Interpolates position embeddings to another grid.

    Args:
        position: (1, D, H, W).
        size: Height and width of the new grid.

    Returns:
        (1, D, *size); the argument itself if the grid is the same.

    Example:
        >>> import torch
        >>> from fer_zoo.layers import resize_positions
        >>> resize_positions(torch.randn(1, 8, 6, 6), (4, 5)).shape
        torch.Size([1, 8, 4, 5])
    """
    if position.shape[2] == size[0] and position.shape[3] == size[1]:
        return position
    # bicubic antialiasing has no kernel for half precision on every device
    wide = position.to(torch.promote_types(position.dtype, torch.float32))
    resized = F.interpolate(wide, size, mode="bicubic", antialias=True, align_corners=False)
    return resized.to(position.dtype)


class PositionEmbed(nn.Module):
    """Adds a learned vector to each position of a map, interpolated to the map's size.

    Learned absolute positions as in ViT (Dosovitskiy et al. 2021, arXiv:2010.11929). They are kept
    as a map, so that each call can interpolate them to any grid, square or not.

    Args:
        embed_dim: Channels D of the map.
        grid_size: Height and width that the positions are learned at.

    Shape:
        (N, D, H, W), or (N, B, D, H, W) for B maps of a sample -> the same

    Example:
        >>> import torch
        >>> from fer_zoo.layers import PositionEmbed
        >>> PositionEmbed(32, (6, 6))(torch.zeros(2, 32, 4, 5)).shape
        torch.Size([2, 32, 4, 5])
    """

    def __init__(
        self,
        embed_dim: int,
        grid_size: tuple[int, int],
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.position = nn.Parameter(
            torch.empty(1, embed_dim, *grid_size, device=device, dtype=dtype)
        )
        nn.init.trunc_normal_(self.position, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the map with positions added."""
        return x + resize_positions(self.position, (x.shape[-2], x.shape[-1])).to(x.dtype)


class TokenEmbed(nn.Module):
    """Makes tokens of a feature map: 1x1 convolution, positions, and a class token in front.

    TransFER embeds its attended map this way for a ViT encoder (arXiv:2108.11116). The class token
    has no position of its own: only the sum of both would matter.

    Args:
        in_channels: Channels C of the map.
        embed_dim: Width D of a token.
        grid_size: Height and width that the positions are learned at.
        class_token: Whether to put a learned token in front.

    Shape:
        (N, C, H, W) -> (N, 1 + H*W, D), or (N, H*W, D) without class token

    Example:
        >>> import torch
        >>> from fer_zoo.layers import TokenEmbed
        >>> TokenEmbed(64, 32, (6, 6))(torch.randn(2, 64, 6, 6)).shape
        torch.Size([2, 37, 32])
    """

    def __init__(
        self,
        in_channels: int,
        embed_dim: int,
        grid_size: tuple[int, int],
        class_token: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, embed_dim, 1, device=device, dtype=dtype)
        self.positions = PositionEmbed(embed_dim, grid_size, device=device, dtype=dtype)
        self.class_token: nn.Parameter | None = None
        if class_token:
            self.class_token = nn.Parameter(
                torch.empty(1, 1, embed_dim, device=device, dtype=dtype)
            )
            nn.init.trunc_normal_(self.class_token, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the tokens, row by row."""
        tokens: Tensor = self.positions(self.proj(x)).flatten(2).transpose(1, 2)  # (N, H*W, D)
        if self.class_token is None:
            return tokens
        # not len(): a trace would keep the batch size of its example
        first = self.class_token.to(tokens.dtype).expand(tokens.shape[0], -1, -1)
        return torch.cat([first, tokens], dim=1)
