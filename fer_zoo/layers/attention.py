"""Attention: local over a map, and self-attention over maps and over tokens."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fer_zoo.layers.drop import MultiAttentionDrop


class RelativeSelfAttention2d(nn.Module):
    """Multi-head self-attention between the positions of a feature map, added to the map.

    A score is s (cos(query, key) + bias), as in Swin v2 (arXiv:2111.09883): the cosine does not
    shrink with the weights, so that weight decay cannot make the attention uniform, and each head
    learns its scale s. The bias is learned for every displacement; those beyond ``max_distance``
    share that of the border (Shaw et al. 2018, arXiv:1803.02155), so that maps of any size fit.
    Unlike there, s scales the bias too, so that it learns as fast. The map is normalised first, and
    no scalar can fade the attention out.

    Args:
        channels: Channels C of the map.
        num_heads: Heads; they share ``channels`` evenly.
        max_distance: Largest displacement, in positions, with a bias of its own.

    Raises:
        ValueError: If ``channels`` is not a multiple of ``num_heads``.

    Shape:
        (N, C, H, W) -> (N, C, H, W)

    Example:
        >>> import torch
        >>> from fer_zoo.layers import RelativeSelfAttention2d
        >>> RelativeSelfAttention2d(64)(torch.randn(2, 64, 6, 6)).shape
        torch.Size([2, 64, 6, 6])
    """

    def __init__(
        self,
        channels: int,
        num_heads: int = 8,
        max_distance: int = 6,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if num_heads < 1 or channels % num_heads:
            raise ValueError(f"channels={channels} must be a multiple of num_heads={num_heads}")
        self.num_heads, self.max_distance = num_heads, max_distance
        self.norm = nn.GroupNorm(1, channels, device=device, dtype=dtype)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False, device=device, dtype=dtype)
        self.proj = nn.Conv2d(channels, channels, 1, device=device, dtype=dtype)
        displacements = (2 * max_distance + 1) ** 2
        self.position_bias = nn.Parameter(
            torch.zeros(num_heads, displacements, device=device, dtype=dtype)
        )
        self.log_scale = nn.Parameter(
            torch.full((num_heads, 1, 1), math.log(10), device=device, dtype=dtype)
        )
        nn.init.normal_(self.qkv.weight, std=channels**-0.5)
        if self.proj.bias is not None:
            nn.init.zeros_(self.proj.bias)

    def _scale(self) -> Tensor:
        """Returns the scale of each head's scores, (heads, 1, 1)."""
        return self.log_scale.clamp(max=math.log(100)).exp()

    def _bias(self, x: Tensor) -> Tensor:
        """Returns the bias of each pair of positions of a map, (heads, H*W, H*W)."""
        (height, width), device, reach = x.shape[2:], x.device, self.max_distance
        rows = torch.arange(height * width, device=device) // width
        columns = torch.arange(height * width, device=device) % width
        down = (rows[:, None] - rows).clamp(-reach, reach) + reach
        right = (columns[:, None] - columns).clamp(-reach, reach) + reach
        return self.position_bias[:, down * (2 * reach + 1) + right]

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns query, key and value of a map, each (N, heads, H*W, C / heads).

        Queries and keys have the length 1.
        """
        n, channels, height, width = x.shape
        shape = (n, 3, self.num_heads, channels // self.num_heads, height * width)
        query, key, value = self.qkv(self.norm(x)).reshape(shape).transpose(-1, -2).unbind(1)
        return F.normalize(query, dim=-1), F.normalize(key, dim=-1), value

    def forward(self, x: Tensor) -> Tensor:
        """Adds to each position what it attends to."""
        query, key, value = self.heads(x)
        scale = self._scale()
        query, key = (scale * query).to(value), key.to(value)
        bias = (scale * self._bias(x)).to(value)
        attended = F.scaled_dot_product_attention(
            query, key, value, attn_mask=bias[None], scale=1.0
        )
        gathered: Tensor = self.proj(attended.transpose(-1, -2).reshape(x.shape))
        return x + gathered

    def attention_map(self, x: Tensor) -> Tensor:
        """Returns where each position looks, (N, heads, H*W, H*W); every row sums to 1."""
        query, key, _ = self.heads(x)
        cosines: Tensor = query @ key.transpose(-1, -2)
        return (self._scale() * (cosines + self._bias(x))).softmax(dim=-1)


class LocalAttention(nn.Module):
    """One attention map over the positions of a feature map.

    This is LANet, the local branch of TransFER (Xue et al. 2021, arXiv:2108.11116): 1x1 convolution
    to C / 16 channels, BN, ReLU, 1x1 convolution to one channel, BN, sigmoid. Several of them,
    with :class:`MultiAttentionDrop` over their maps, look at different parts of a face.

    Args:
        channels: Channels C of the map.
        reduction: The hidden layer has C / reduction channels, at least one.

    Shape:
        (N, C, H, W) -> (N, 1, H, W), values in (0, 1)

    Example:
        >>> import torch
        >>> from fer_zoo.layers import LocalAttention
        >>> LocalAttention(64)(torch.randn(2, 64, 6, 6)).shape
        torch.Size([2, 1, 6, 6])
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        inner = max(1, channels // reduction)
        # a bias would do nothing: batch normalisation removes it
        self.conv1 = nn.Conv2d(channels, inner, 1, bias=False, device=device, dtype=dtype)
        self.bn1 = nn.BatchNorm2d(inner, device=device, dtype=dtype)
        self.conv2 = nn.Conv2d(inner, 1, 1, bias=False, device=device, dtype=dtype)
        self.bn2 = nn.BatchNorm2d(1, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Returns how much each position counts."""
        x = self.bn1(self.conv1(x)).relu()
        weights: Tensor = self.bn2(self.conv2(x)).sigmoid()
        return weights


class MultiHeadSelfAttention(nn.Module):
    """Multi-head self-attention over tokens that may lose one whole head.

    Vaswani et al. 2017 (arXiv:1706.03762) with the MSAD of TransFER (arXiv:2108.11116): in training
    each sample loses one head's output with probability ``head_drop``, before the projection. The
    authors' release zeroes a token instead of a head.

    Args:
        dim: Width D of a token.
        num_heads: Heads; they share ``dim`` evenly.
        head_drop: Probability that a sample loses a head.
        qkv_bias: Whether query, key and value have biases; the paper has none.
        attn_drop: Dropout of attention weights.

    Raises:
        ValueError: If ``dim`` is not a multiple of ``num_heads``.

    Shape:
        (N, L, D) -> (N, L, D)

    Example:
        >>> import torch
        >>> from fer_zoo.layers import MultiHeadSelfAttention
        >>> MultiHeadSelfAttention(64, num_heads=4)(torch.randn(2, 10, 64)).shape
        torch.Size([2, 10, 64])
    """

    def __init__(
        self,
        dim: int,
        num_heads: int = 8,
        head_drop: float = 0.0,
        qkv_bias: bool = False,
        attn_drop: float = 0.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if num_heads < 1 or dim % num_heads:
            raise ValueError(f"dim={dim} must be a multiple of num_heads={num_heads}")
        self.num_heads, self.attn_drop = num_heads, attn_drop
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias, device=device, dtype=dtype)
        self.head_drop = MultiAttentionDrop(head_drop)
        self.proj = nn.Linear(dim, dim, device=device, dtype=dtype)

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns query, key and value of tokens, each (N, heads, L, D / heads)."""
        n, length, dim = x.shape
        qkv = self.qkv(x).view(n, length, 3, self.num_heads, dim // self.num_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind()
        return query, key, value

    def forward(self, x: Tensor) -> Tensor:
        """Returns what each token gathers from all tokens."""
        n, length, dim = x.shape
        query, key, value = self.heads(x)
        dropout = self.attn_drop if self.training else 0.0
        heads = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        heads = self.head_drop(heads).transpose(1, 2)  # (N, L, heads, D / heads)
        gathered: Tensor = self.proj(heads.reshape(n, length, dim))
        return gathered

    def attention_map(self, x: Tensor) -> Tensor:
        """Returns where each token looks, (N, heads, L, L); every row sums to 1."""
        query, key, _ = self.heads(x)
        scores: Tensor = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        return scores.softmax(dim=-1)
