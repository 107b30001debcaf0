"""Where a model's self-attention looks; only where it is not uniform."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from fer_zoo.errors import ExplanationError
from fer_zoo.explanation.heat import scaled
from fer_zoo.layers import MultiHeadSelfAttention, RelativeSelfAttention2d
from fer_zoo.models import FaceModel
from fer_zoo.models._tokens import TokenModel

#: Attention whose relative entropy is this or more says nothing of a face.
LARGEST_ENTROPY = 0.9


@torch.no_grad()
def attention(model: FaceModel, x: Tensor, targets: list[int]) -> Tensor:
    """Paints self-attention, which is of no class.

    Of a transformer it is attention rollout (Abnar & Zuidema 2020, arXiv:2005.00928): how much of
    each position arrives at what the head pools, through the mean of the heads and the residual of
    every block. Of self-attention over a map it is what each position receives, a mean over heads
    and positions.

    Args:
        model: The model, in eval mode.
        x: Faces (N, C, H, W).
        targets: Not used.

    Returns:
        (N, H, W) in 0..1.

    Raises:
        ExplanationError: If the model has no self-attention, or it is uniform.
    """
    size = (x.shape[2], x.shape[3])
    weights = attention_weights(model, x)
    entropy = max(float(relative_entropy(layer).mean(dim=(1, 2)).max()) for layer in weights)
    if entropy >= LARGEST_ENTROPY:
        raise ExplanationError(
            f"the self-attention of this {type(model).__name__} looks everywhere alike: its "
            f"relative entropy is {entropy:.5f} (1 is uniform, {LARGEST_ENTROPY} the most that is "
            "painted); use gradcam or occlusion"
        )
    sides = [-(-side // model.feature_info[-1]["reduction"]) for side in size]
    received = rollout(weights, model) if isinstance(model, TokenModel) else weights[0].mean((1, 2))
    maps = received.reshape(len(x), -1, *sides).sum(dim=1)  # branches share the positions
    return scaled(maps, size)


def attention_weights(model: FaceModel, x: Tensor) -> list[Tensor]:
    """Returns the weights of each self-attention, (N, heads, L, L), from the first to the last.

    Raises:
        ExplanationError: If there is none.
    """
    kinds = (MultiHeadSelfAttention, RelativeSelfAttention2d)
    layers = [module for module in model.modules() if isinstance(module, kinds)]
    if not layers or not model.feature_info:  # those of an ensemble are its members'
        raise ExplanationError(
            f"{type(model).__name__} has no self-attention of fer_zoo.layers: use gradcam or "
            "occlusion"
        )
    seen: list[Tensor] = []

    def look(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        seen.append(layer.attention_map(*inputs))  # type: ignore[operator]

    hooks = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def relative_entropy(weights: Tensor) -> Tensor:
    """Returns the entropy of attention over that of uniform attention.

    Args:
        weights: (..., L); the last dimension sums to 1.

    Returns:
        (...), from 0, all on one position, to 1, all alike; 1 where there is one position.

    Example:
        >>> relative_entropy(torch.tensor([[1.0, 0, 0, 0], [0.25, 0.25, 0.25, 0.25]])).tolist()
        [0.0, 1.0]
    """
    if weights.shape[-1] == 1:
        return torch.ones_like(weights[..., 0])
    entropy: Tensor = torch.special.entr(weights).sum(dim=-1)
    return entropy / math.log(weights.shape[-1])


def rollout(weights: list[Tensor], model: TokenModel) -> Tensor:
    """Returns how much of each position the head pools, (N, positions)."""
    prefix = model.num_prefix_tokens
    mixed = torch.eye(weights[0].shape[-1], device=weights[0].device)
    for layer in weights:
        heads = layer.mean(dim=1)
        mixed = (heads + torch.eye(heads.shape[-1], device=heads.device)) / 2 @ mixed
    pooled = mixed[:, 0] if model.head.global_pool == "token" else mixed[:, prefix:].mean(dim=1)
    return pooled[:, prefix:]
