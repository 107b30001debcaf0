"""Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391), by the package grad-cam."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from fer_zoo.errors import ExplanationError
from fer_zoo.explanation.heat import missing
from fer_zoo.models import DACL, Backbone, FaceModel
from fer_zoo.models._tokens import TokenModel

#: Makes a map (N, C, h, w) of what a layer returns.
AsMap = Callable[[Tensor], Tensor]


def grad_cam(model: FaceModel, x: Tensor, targets: list[int]) -> Tensor:
    """Weighs the last map by the gradients of a class's logit, and keeps what speaks for it.

    Args:
        model: The model, in eval mode; gradients reach no parameter that requires none.
        x: Faces (N, C, H, W).
        targets: The class of each.

    Returns:
        (N, H, W) in 0..1; zeros where nothing speaks for the class.

    Raises:
        ExplanationError: If the model has no last map of several positions.
        MissingDependencyError: If grad-cam is not installed.
    """
    try:
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    except ImportError as error:
        raise missing("Grad-CAM", error) from error
    layer, as_map = last_map(model, (x.shape[2], x.shape[3]))
    with GradCAM(model, [layer], reshape_transform=partial(_checked, as_map)) as method:
        heat = method(x.requires_grad_(), [ClassifierOutputTarget(target) for target in targets])
    return torch.from_numpy(heat)


def last_map(model: FaceModel, size: tuple[int, int]) -> tuple[nn.Module, AsMap]:
    """Returns the layer whose output is the last map that the classifier depends on.

    It is the last module of ``feature_info``. Where that is attention or comes after it, what it
    holds comes from all positions: of DACL it is the last stage, and of a transformer the norm
    before the last attention.

    Args:
        model: The model.
        size: Height and width of a face.

    Raises:
        ExplanationError: If there is none.
    """
    if not model.feature_info:
        raise ExplanationError(
            f"{type(model).__name__} has no maps of its own for gradcam: explain its members one "
            "by one, or use occlusion"
        )
    last = model.feature_info[-1]
    layer = model.get_submodule(last["module"])
    if isinstance(model, TokenModel):
        sides = [-(-side // last["reduction"]) for side in size]
        norm: nn.Module = model.blocks[-1].norm1  # type: ignore[assignment]
        return norm, partial(model.to_map, height=sides[0], width=sides[1])
    if isinstance(model, DACL):
        layer = model.layer4  # type: ignore[assignment]
    prefix, grid = 0, None
    if isinstance(model, Backbone) and hasattr(model.net, "num_prefix_tokens"):
        prefix = model.net.num_prefix_tokens
        grid = getattr(model.net.patch_embed, "grid_size", None)
        layer = getattr(model.net.blocks[-1], "norm1", layer)
    return layer, partial(_as_map, channels=last["num_chs"], prefix=prefix, grid=grid)


def _as_map(features: Tensor, channels: int, prefix: int, grid: tuple[int, int] | None) -> Tensor:
    """Returns (N, C, h, w) of a map, of one with its channels last, or of tokens of a grid."""
    if features.ndim == 3:
        tokens = features[:, prefix:]
        if grid is None or grid[0] * grid[1] != tokens.shape[1]:
            raise ExplanationError(
                "this backbone does not say where its tokens lie in the face: use occlusion"
            )
        features = tokens.reshape(len(tokens), *grid, -1)
    return features if features.shape[1] == channels else features.permute(0, 3, 1, 2)


def _checked(as_map: AsMap, features: Tensor) -> Tensor:
    made = as_map(features)
    if made.shape[2] * made.shape[3] == 1:
        raise ExplanationError("the last map of this model has one position: use occlusion")
    return made
