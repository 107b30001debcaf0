"""That weights fill a model exactly."""

import logging
from collections.abc import Iterable

from torch import Tensor, nn

from fer_zoo.errors import WeightsError
from fer_zoo.models.face_model import Cfg

_logger = logging.getLogger(__name__)


def check_state_dict(state_dict: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Refuses weights that do not fill a model exactly.

    Only two things may differ: the first convolution's input channels, which timm adapts, and the
    classifier, when the model was made with another ``num_classes``.

    Args:
        state_dict: Tensors of the file.
        model: The model built for them, with its pretrained_cfg.

    Returns:
        The same state_dict.

    Raises:
        WeightsError: If a tensor is missing, is extra, has another shape, or is not finite.
    """
    cfg: Cfg = getattr(model, "pretrained_cfg", {})
    own = model.state_dict()
    replaced: set[str] = set()
    if getattr(model, "num_classes", 0) != cfg["num_classes"]:
        replaced = set(_classifier_keys([*own, *state_dict], cfg))
    shared = (own.keys() & state_dict.keys()) - replaced
    first = cfg.get("first_conv") or ()
    first_convs = [f"{name}.weight" for name in ([first] if isinstance(first, str) else first)]
    faults = {
        "missing": [k for k in own if k not in state_dict and k not in replaced],
        "extra": [k for k in state_dict if k not in own and k not in replaced],
        "misshapen": [
            f"{k} {tuple(state_dict[k].shape)} instead of {tuple(v.shape)}"
            for k, v in own.items()
            if k in shared and not _same_shape(state_dict[k], v, channels=k not in first_convs)
        ],
        "not finite": [
            k for k, v in state_dict.items() if v.is_floating_point() and not v.isfinite().all()
        ],
    }
    if any(faults.values()):
        text = "; ".join(f"{name}: {', '.join(keys[:5])}" for name, keys in faults.items() if keys)
        raise WeightsError(
            f"weights do not fit {type(model).__name__} ({text}): they belong to another "
            "architecture or were made with other arguments"
        )
    left, count = [k for k in state_dict if k in replaced], getattr(model, "num_classes", 0)
    if left and count:  # without a classifier its weights are not missed
        _logger.warning("classifier left out for %s classes: %s", count, ", ".join(left))
    return state_dict


def _classifier_keys(keys: Iterable[str], cfg: Cfg) -> list[str]:
    names = cfg.get("classifier") or ()
    prefixes = tuple(f"{name}." for name in ([names] if isinstance(names, str) else names))
    return [key for key in keys if key.startswith(prefixes)]


def _same_shape(saved: Tensor, own: Tensor, channels: bool) -> bool:
    """Compares two shapes; without ``channels``, timm adapts the second dimension."""
    if channels or saved.ndim < 2:
        return saved.shape == own.shape
    return saved[:, 0].shape == own[:, 0].shape
