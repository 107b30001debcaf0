"""The encoder's block, and what timm expects of a model that reads a stem's map as tokens."""

from typing import TYPE_CHECKING, Any, Unpack

import torch
from timm.layers import DropPath, Mlp
from timm.models import checkpoint_seq
from timm.models._features import feature_take_indices
from torch import Tensor, nn

from fer_zoo.layers import MultiHeadSelfAttention, resize_positions
from fer_zoo.models.face_model import FaceModel, FeatureInfo, TensorOptions


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
        >>> from fer_zoo.models._tokens import EncoderBlock
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
        **dd: Unpack[TensorOptions],
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


def resample_positions(state_dict: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Brings saved positions to the model's grid, where ``img_size`` differs."""
    own = {k: v for k, v in model.state_dict().items() if k.endswith("positions.position")}
    return {
        k: resize_positions(v, (own[k].shape[2], own[k].shape[3])) if k in own else v
        for k, v in state_dict.items()
    }


class TokenModel(FaceModel):
    """A stem's map, as tokens (a subclass's ``tokenize``), through an encoder.

    A subclass builds ``stem``, ``blocks``, ``norm`` and ``head``; here is what follows from them.
    """

    if TYPE_CHECKING:  # torch.jit.script stops at a module's annotation
        stem: FaceModel
        blocks: nn.Sequential
        norm: nn.Module
    num_prefix_tokens = 0

    def tokenize(self, x: Tensor) -> Tensor:
        """Makes tokens (N, L, D) of the stem's map."""
        raise NotImplementedError

    def describe_encoder(self, in_chans: int, embed_dim: int) -> None:
        """Sets what is known of the images, of the stem's maps and of the encoder's."""
        self.in_chans, self.num_features = in_chans, embed_dim
        maps: list[FeatureInfo] = [
            {**info, "module": f"stem.{info['module']}"} for info in self.stem.feature_info
        ]
        self.feature_info = [
            *maps,
            {"num_chs": embed_dim, "reduction": maps[-1]["reduction"], "module": "blocks"},
        ]

    def encode(self, x: Tensor) -> Tensor:
        """Runs the encoder on tokens (N, L, D), without the norm that follows it."""
        if self.grad_checkpointing and not torch.jit.is_scripting():  # type: ignore[attr-defined]
            x = checkpoint_seq(self.blocks, x)
        else:
            x = self.blocks(x)
        return x

    def forward_features(self, x: Tensor) -> Tensor:
        """Returns the encoded tokens, normalised, (N, L, D); once pruned, the stem's last map."""
        x = self.stem(x)
        if len(self.blocks) == 0:
            return x
        tokens: Tensor = self.norm(self.encode(self.tokenize(x)))
        return tokens

    def to_map(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Returns tokens as a map (N, D, H, W): the mean where a position has several tokens.

        Averaged over positions, this map is what the head pools.

        Args:
            tokens: What the encoder returns, (N, L, D).
            height: Height of the stem's map.
            width: Width of the stem's map.
        """
        tokens = tokens[:, self.num_prefix_tokens :]
        n, length, dim = tokens.shape
        branches = length // (height * width)
        return tokens.reshape(n, branches, height, width, dim).mean(dim=1).permute(0, 3, 1, 2)

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
            norm: Whether the final norm is applied to the encoder's map.
            stop_early: Skips what comes after the last map asked for.
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
            height, width = x.shape[-2:]
            tokens = self.encode(self.tokenize(x))
            x = self.norm(tokens)
            if last in taken:
                maps = [*maps, self.to_map(x if norm else tokens, height, width)]
        return maps if intermediates_only else (x, maps)

    def prune_intermediate_layers(
        self,
        indices: int | list[int] = 1,
        prune_norm: bool = False,
        prune_head: bool = True,
    ) -> list[int]:
        """Drops what comes after the last map asked for, and the head.

        Args:
            indices: As for :meth:`forward_intermediates`.
            prune_norm: Drops the final norm.
            prune_head: Drops the head even if the encoder stays.

        Returns:
            The indices, counted from the first.
        """
        last = len(self.feature_info) - 1
        taken, deepest = feature_take_indices(last + 1, indices)
        if deepest < last:
            self.stem.prune_intermediate_layers([i for i in taken if i < last])
            for name, _ in list(self.named_children()):
                if name not in ("stem", "norm", "head"):  # the blocks, and what tokenize needs
                    setattr(self, name, nn.Sequential())
            prune_norm = prune_head = True
            self.num_features = self.head_hidden_size = self.feature_info[deepest]["num_chs"]
        if prune_norm:
            self.norm = nn.Identity()
        if prune_head:
            self.reset_classifier(0, "")
        return list(taken)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recomputes activations in backward instead of keeping them."""
        super().set_grad_checkpointing(enable)
        self.stem.set_grad_checkpointing(enable)

    def no_weight_decay(self) -> set[str]:
        """Names the learned positions and tokens."""
        kinds = (".position", ".class_token")
        return {name for name, _ in self.named_parameters() if name.endswith(kinds)}

    def group_matcher(self, coarse: bool = False) -> dict[str, object]:
        """Returns how parameters form layers, from the image to the head."""
        return {
            "stem": r"^stem\.(?:conv1|bn1)",
            "stages": r"^stem\.(?:layer|stages\.)(\d+)",
            "tokens": r"^(?:local|branches|embed|positions)",
            "blocks": r"^blocks" if coarse else [(r"^blocks\.(\d+)", None), (r"^norm", (99999,))],
        }
