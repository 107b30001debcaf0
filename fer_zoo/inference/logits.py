"""Models made ready to use and used on many faces."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fer_zoo.errors import ConfigError
from fer_zoo.inference.device import choose_device
from fer_zoo.models import Ensemble, create_model
from fer_zoo.models.ensemble import log_mean_probability
from fer_zoo.preprocessing import preprocessing_of


def load_model(
    model: str | Path | nn.Module, device: str | torch.device | None = None
) -> tuple[Any, torch.device]:
    """Loads a model with its weights, in eval mode, or takes one as it is.

    Args:
        model: A name, a folder that training wrote, several of these with commas between for an
            ensemble, or a model of fer_zoo.
        device: Where to compute; a module without it stays where it is.

    Returns:
        The model and its device.

    Raises:
        ConfigError: If the model does not say its labels and preprocessing, or has no classifier.
    """
    if isinstance(model, nn.Module):
        first = next(model.parameters(), None)
        here = first.device if first is not None else None
        place = choose_device(here if device is None else device)
        ready: Any = model
    else:
        place = choose_device(device)
        names = [part.strip() for part in str(model).split(",")]
        if len(names) > 1 and not Path(model).is_dir():
            ready = Ensemble(names).eval()
        else:
            ready = create_model(model, pretrained=True).eval()
    if not getattr(ready, "label_names", ()) or not getattr(ready, "pretrained_cfg", None):
        raise ConfigError(
            f"{type(ready).__name__} has no label_names or no pretrained_cfg: make it with "
            "fer_zoo.create_model and num_classes > 0"
        )
    return ready.to(place), place


def predict_logits(
    model: nn.Module,
    images: Tensor,
    *,
    batch_size: int = 256,
    device: str | torch.device | None = None,
    flip: bool = False,
) -> Tensor:
    """Computes the logits of many faces.

    Args:
        model: A model of fer_zoo; its pretrained_cfg says the preprocessing.
        images: uint8 faces (N, H, W).
        batch_size: Faces per forward pass; it does not change the result beyond rounding.
        device: Where to compute; by default where the model is.
        flip: Also looks at the mirrored faces, and returns the log of the mean probability.

    Returns:
        float32 (N, num_classes) on the CPU.

    Raises:
        ConfigError: If ``batch_size`` is below 1.
    """
    if batch_size < 1:
        raise ConfigError(f"batch_size is {batch_size}; it must be 1 or more")
    if flip:
        views = [images, images.flip(-1)]
        return log_mean_probability(
            [predict_logits(model, v, batch_size=batch_size, device=device) for v in views]
        )
    ready, place = load_model(model, device)
    preprocessing = preprocessing_of(ready)
    modes = {module: module.training for module in ready.modules()}
    ready.eval()
    try:
        with torch.inference_mode():
            parts = [
                ready(preprocessing.tensor(batch.to(place))).float().cpu()
                for batch in torch.split(images, batch_size)
            ]
    finally:
        for module, training in modes.items():
            module.training = training
    return torch.cat(parts)
