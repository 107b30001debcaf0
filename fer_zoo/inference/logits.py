"""Models made ready to use, and the logits of many faces."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from fer_zoo.data.lazy import Images
from fer_zoo.errors import ConfigError
from fer_zoo.inference.device import choose_device
from fer_zoo.inference.forks import use_one_thread_after_fork
from fer_zoo.inference.views import view_functions
from fer_zoo.memory import kept_memory
from fer_zoo.models import Ensemble, FaceModel, create_model
from fer_zoo.models.ensemble import log_mean_probability
from fer_zoo.models.weights import Sha256, weights_sha256
from fer_zoo.preprocessing import Preprocessing, preprocessing_of


class Transform(Protocol):
    """Whatever changes faces (n, H, W) before a model sees them."""

    def __call__(self, faces: Tensor, *, first: int) -> Tensor:
        """Returns the changed faces; ``first`` is the index of the first one."""
        ...


@dataclass(frozen=True)
class LoadedModel:
    """A model with its weights, and what must be known to use it.

    Args:
        module: The model.
        name: Its name or folder, or the class of a module.
        device: Where to compute; the module itself may be elsewhere.
        label_names: Names of the classes.
        preprocessing: From faces to its input.
        weights_sha256: Of the file, or of an ensemble's files; None of a module, whose weights may
            have changed since they were loaded.
    """

    module: FaceModel | Ensemble
    name: str
    device: torch.device
    label_names: tuple[str, ...]
    preprocessing: Preprocessing
    weights_sha256: Sha256 = None


#: A name, a folder that training wrote, several of these with commas between for an ensemble, a
#: model of fer_zoo, or what :func:`load_model` returned.
ModelLike = str | Path | nn.Module | LoadedModel


def load_model(model: ModelLike, device: str | torch.device | None = None) -> LoadedModel:
    """Loads a model with its weights, in eval mode, or takes a module as it is.

    Args:
        model: A name, a folder that training wrote, several of these with commas between for an
            ensemble, a model of fer_zoo, or what this function returned.
        device: Where to compute; by default where a module is, else CUDA where there is one.

    Raises:
        ConfigError: If the model does not say its labels and preprocessing, or has no classifier.
    """
    use_one_thread_after_fork()
    if isinstance(model, LoadedModel):
        return model if device is None else replace(model, device=choose_device(device))
    module, name = model, type(model).__name__
    if isinstance(module, nn.Module):
        first = next(module.parameters(), None)
        place = choose_device(first.device if device is None and first is not None else device)
    else:
        if not isinstance(model, (str, os.PathLike)):
            raise ConfigError(
                f"the model is {model!r}; give a name of `fer-zoo list`, a folder that training "
                "wrote, several of these as 'dacl,vgg', or a model of fer_zoo"
            )
        place, name = choose_device(device), str(model)
        members = _members(name)
        ensemble = len(members) > 1 and not Path(name).is_dir()
        module = Ensemble(members) if ensemble else create_model(name, pretrained=True)
        module.eval().to(place)
    label_names = tuple(getattr(module, "label_names", ()))
    if not label_names or not getattr(module, "pretrained_cfg", None):
        raise ConfigError(
            f"{type(module).__name__} has no label_names or no pretrained_cfg: make it with "
            "fer_zoo.create_model and num_classes > 0"
        )
    ready = cast("FaceModel | Ensemble", module)
    sha256 = None if module is model else weights_sha256(ready)
    return LoadedModel(ready, name, place, label_names, preprocessing_of(ready), sha256)


def dtype_of(module: nn.Module) -> torch.dtype:
    """Returns the type of a model's weights, such as float32."""
    return next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)


def _members(name: str) -> list[str]:
    """Returns the models that a text names; commas are between those of an ensemble."""
    members = [part.strip() for part in name.split(",")]
    if not all(members):
        raise ConfigError(
            f"{name!r} names no model{' after a comma' * any(members)}: give a name of "
            "`fer-zoo list`, or a folder that training wrote"
        )
    for member in members:
        if member.endswith((".onnx", ".pt2")) and Path(member).is_file():
            raise ConfigError(
                f"{member} is the file of an export: give the name or folder of its model here "
                "(fer-zoo predict, video and serve take one .onnx file as their --model)"
            )
    return members


def unchanged(faces: Tensor, *, first: int = 0) -> Tensor:
    """Returns the faces as they are."""
    return faces


def predict_logits(
    model: ModelLike,
    images: Images,
    *,
    batch_size: int = 256,
    device: str | torch.device | None = None,
    flip: bool = False,
    views: int = 1,
    transform: Transform = unchanged,
) -> Tensor:
    """Computes the logits of many faces; a module stays on its device and in its mode.

    Args:
        model: As of :func:`load_model`.
        images: uint8 faces (N, H, W), in memory or read batch by batch.
        batch_size: Faces per forward pass; it does not change the result beyond rounding.
        device: As of :func:`load_model`.
        flip: The same as two views.
        views: 1; or 2 or 20 (:func:`fer_zoo.inference.views.view_functions`), of which the log of
            the mean probability is returned.
        transform: Applied to each batch, with the index of its first face, before the views.

    Returns:
        float32 (N, num_classes) on the CPU.

    Raises:
        ConfigError: If ``batch_size`` is below 1, or there is no such number of views.
    """
    views = max(views, 2) if flip else views
    found = logits_of_views(
        model, images, views, batch_size=batch_size, device=device, transform=transform
    )
    return found[0] if views == 1 else log_mean_probability(list(found))


def logits_of_views(
    model: ModelLike,
    images: Images,
    views: int,
    *,
    batch_size: int = 256,
    device: str | torch.device | None = None,
    transform: Transform = unchanged,
) -> Tensor:
    """Computes the logits of each view of many faces.

    Args:
        model: As of :func:`load_model`.
        images: As of :func:`predict_logits`, and so are the other arguments.
        views: How many V.
        batch_size: Faces per forward pass.
        device: Where to compute.
        transform: Applied before the views.

    Returns:
        float32 (V, N, num_classes) on the CPU.

    Raises:
        ConfigError: If ``batch_size`` is below 1, or there is no such number of views.
    """
    if batch_size < 1:
        raise ConfigError(f"batch_size is {batch_size} (--batch-size); it must be 1 or more")
    loaded, functions = load_model(model, device), view_functions(views)
    parts, kind = [torch.empty(views, 0, len(loaded.label_names))], dtype_of(loaded.module)
    with kept_memory(), _in_eval_mode(loaded.module, loaded.device) as forward:
        for first in range(0, len(images), batch_size):
            batch = transform(images[first : first + batch_size], first=first)
            seen = [batch if views == 1 else _view(batch, function) for function in functions]
            inputs = [loaded.preprocessing.tensor(view.to(loaded.device)).to(kind) for view in seen]
            parts.append(torch.stack([forward(x).float().cpu() for x in inputs]))
    return torch.cat(parts, dim=1)


def _view(faces: Tensor, function: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> Tensor:
    return torch.from_numpy(function(faces.cpu().numpy()))


@contextmanager
def _in_eval_mode(module: nn.Module, device: torch.device) -> Iterator[Callable[[Tensor], Tensor]]:
    """Gives the forward pass of a module on a device; the module itself stays as it is."""
    modes = {part: part.training for part in module.modules()}
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    module.eval()
    try:
        with torch.inference_mode():
            if all(tensor.device == device for tensor in tensors.values()):
                yield module
            else:
                moved = {name: tensor.to(device) for name, tensor in tensors.items()}
                yield partial(functional_call, module, moved)
    finally:
        for part, training in modes.items():
            part.training = training
