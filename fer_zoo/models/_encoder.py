"""Models that read a convolutional stem's map as tokens with a pre-norm transformer encoder."""

from typing import Any

from timm.layers import DropPath, Mlp, calculate_drop_path_rates
from timm.models import checkpoint
from timm.models._features import feature_take_indices
from torch import Tensor, nn

from fer_zoo.layers import ClassifierHead, MultiHeadSelfAttention, resize_positions
from fer_zoo.models._build import build
from fer_zoo.models._surface import HeadedModel


def grid_size(img_size: int | tuple[int, int], reduction: int) -> tuple[int, int]:
    """Returns height and width of a stem's map; each stride of 2 rounds up."""
    height, width = (img_size, img_size) if isinstance(img_size, int) else img_size
    return -(-height // reduction), -(-width // reduction)


def resample_positions(state_dict: dict[str, Any], model: nn.Module) -> dict[str, Any]:
    """Brings saved positions to the model's grid, where ``img_size`` differs."""
    own = {k: v for k, v in model.state_dict().items() if k.endswith("positions.position")}
    return {
        k: resize_positions(v, (own[k].shape[2], own[k].shape[3])) if k in own else v
        for k, v in state_dict.items()
    }


class EncoderBlock(nn.Module):
    """Attention and MLP, each normalised before (pre-norm) and added to its input.

    Args:
        dim: Width of a token.
        num_heads: Attention heads.
        mlp_ratio: Width of the hidden layer against ``dim``.
        head_drop: Probability that a sample loses an attention head.
        drop_path: Probability that a sample skips either part.

    Shape:
        (N, L, D) -> (N, L, D)

    Example:
        >>> import torch
        >>> from fer_zoo.models._encoder import EncoderBlock
        >>> EncoderBlock(64, num_heads=4)(torch.randn(2, 10, 64)).shape
        torch.Size([2, 10, 64])
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float = 3.0,
        head_drop: float = 0.0,
        drop_path: float = 0.0,
        **dd: Any,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6, **dd)
        self.attn = MultiHeadSelfAttention(dim, num_heads, head_drop, **dd)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6, **dd)
        self.mlp = Mlp(dim, int(dim * mlp_ratio), **dd)
        self.drop_path = DropPath(drop_path)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the tokens, refined."""
        x = x + self.drop_path(self.attn(self.norm1(x)))
        x = x + self.drop_path(self.mlp(self.norm2(x)))
        return x


class TokenModel(HeadedModel):
    """Base of the transformers: stem, tokens (a subclass's ``tokenize``), encoder, norm, head.

    Args:
        stem: Gives a map; has forward_features, forward_intermediates and feature_info.
        stem_info: The stem's feature_info, one entry for each of its maps.
        num_classes: Logits; 0 gives features.
        global_pool: ``"token"`` or ``"avg"``.
        num_prefix_tokens: Tokens in front that are no positions.
        embed_dim: Width of a token.
        depth: Encoder blocks.
        drop_rate: Dropout before the classifier.
        drop_path_rate: Stochastic depth of the last block; earlier ones have less.
        dd: Device and dtype.
        **block: Further arguments of :class:`EncoderBlock`.
    """

    def __init__(
        self,
        stem: nn.Module,
        stem_info: list[dict[str, Any]],
        *,
        num_classes: int,
        global_pool: str,
        num_prefix_tokens: int,
        embed_dim: int,
        depth: int,
        drop_rate: float,
        drop_path_rate: float,
        dd: dict[str, Any],
        **block: Any,
    ) -> None:
        super().__init__()
        if global_pool == "token" and not num_prefix_tokens:
            raise ValueError("global_pool='token' needs a class token; this model has none: 'avg'")
        self.num_prefix_tokens = num_prefix_tokens
        self.stem: Any = stem
        rates = calculate_drop_path_rates(drop_path_rate, depth)
        self.blocks = nn.Sequential(
            *(EncoderBlock(embed_dim, drop_path=rate, **block, **dd) for rate in rates)
        )
        self.norm: nn.Module = nn.LayerNorm(embed_dim, eps=1e-6, **dd)
        self.feature_info = [
            *({**info, "module": f"stem.{info['module']}"} for info in stem_info),
            {"num_chs": embed_dim, "reduction": stem_info[-1]["reduction"], "module": "blocks"},
        ]
        head = ClassifierHead(
            embed_dim, num_classes, global_pool, drop_rate=drop_rate,
            num_prefix_tokens=num_prefix_tokens, **dd,
        )  # fmt: skip
        self._set_head(head, embed_dim, num_classes)

    def tokenize(self, x: Tensor) -> Tensor:
        """Makes tokens (N, L, D) of the stem's map."""
        raise NotImplementedError

    def _encode(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = checkpoint(block, x) if self.grad_checkpointing and self.training else block(x)
        return x

    def forward_features(self, x: Tensor) -> Tensor:
        """Returns the encoded tokens, normalised, (N, L, D)."""
        tokens: Tensor = self.norm(self._encode(self.tokenize(self.stem.forward_features(x))))
        return tokens

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """Returns the last tokens and some maps: the stem's, then the encoder's tokens as a map.

        Args:
            x: Images (N, in_chans, H, W).
            indices: Which maps, all by default; a number means the last ones.
            norm: Whether the final norm goes over the encoder's map.
            stop_early: Whether to skip what comes after the last map asked for.
            output_fmt: Only ``"NCHW"``.
            intermediates_only: Leaves the last tokens out.

        Raises:
            ValueError: For another ``output_fmt``.
        """
        if output_fmt != "NCHW":
            raise ValueError(f"output_fmt must be 'NCHW', not {output_fmt!r}")
        last = len(self.feature_info) - 1
        taken, deepest = feature_take_indices(last + 1, indices)
        of_stem = [i for i in taken if i < last]
        early = (stop_early or not len(self.blocks)) and deepest < last  # pruned: no blocks
        x, found = self.stem.forward_intermediates(x, of_stem or [last - 1], stop_early=early)
        maps = found if of_stem else []
        if not early:
            size = (x.shape[2], x.shape[3])
            tokens = self._encode(self.tokenize(x))
            x = self.norm(tokens)
            if last in taken:
                maps = [*maps, self._to_map(x if norm else tokens, size)]
        return maps if intermediates_only else (x, maps)

    def _to_map(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """Averages several tokens of a position: pooled, this map is what the head pools."""
        n, _, dim = tokens.shape
        tokens = tokens[:, self.num_prefix_tokens :]
        return tokens.reshape(n, -1, *size, dim).mean(dim=1).permute(0, 3, 1, 2)

    def prune_intermediate_layers(
        self,
        indices: int | list[int] = 1,
        prune_norm: bool = False,
        prune_head: bool = True,
    ) -> list[int]:
        """Drops what comes after the last map asked for, and the head.

        Args:
            indices: As for :meth:`forward_intermediates`.
            prune_norm: Whether to drop the final norm.
            prune_head: Whether to drop the head even if the encoder stays.

        Returns:
            The indices, counted from the first.
        """
        last = len(self.feature_info) - 1
        taken, deepest = feature_take_indices(last + 1, indices)
        if deepest < last:
            self.stem.prune_intermediate_layers([i for i in taken if i < last])
            self.blocks, prune_norm, prune_head = nn.Sequential(), True, True
            self._prune_tokens()
            self.num_features = self.head_hidden_size = self.feature_info[deepest]["num_chs"]
        if prune_norm:
            self.norm = nn.Identity()
        if prune_head:
            self.reset_classifier(0, "")
        return list(taken)

    def _prune_tokens(self) -> None:
        """Drops what ``tokenize`` needs."""
        raise NotImplementedError

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recomputes activations in backward instead of keeping them."""
        super().set_grad_checkpointing(enable)
        self.stem.set_grad_checkpointing(enable)

    def no_weight_decay(self) -> set[str]:
        """Names the learned positions and tokens."""
        kinds = (".position", ".class_token")
        return {name for name, _ in self.named_parameters() if name.endswith(kinds)}

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Returns how parameters form layers, from the image to the head."""
        return {
            "stem": r"^stem\.(?:conv1|bn1)",
            "stages": r"^stem\.(?:layer|stages\.)(\d+)",
            "tokens": r"^(?:local|branches|embed|positions)",
            "blocks": r"^blocks" if coarse else [(r"^blocks\.(\d+)", None), (r"^norm", (99999,))],
        }


def build_tokens(
    model_cls: type[TokenModel], variant: str, pretrained: bool, maps: int, **kwargs: Any
) -> nn.Module:
    """Builds a token model whose features are ``maps`` maps; positions fit any ``img_size``."""
    features = {"feature_cls": "getter", "out_indices": tuple(range(maps))}
    return build(
        model_cls, variant, pretrained, filter_fn=resample_positions, feature_cfg=features, **kwargs
    )
