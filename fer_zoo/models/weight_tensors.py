"""The tensors of weight files: only whole files are read, and only finite tensors are saved."""

import hashlib

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from fer_zoo.errors import WeightsError
from fer_zoo.models.weights import WeightsRecord


def read_weights(record: WeightsRecord) -> dict[str, Tensor]:
    """Reads a weight file once: what is verified is what is returned.

    Args:
        record: The file, and the sha256 that it must have. Without one, the file has to be a
            whole safetensors file, and nothing more can be checked.

    Returns:
        Its tensors by name.

    Raises:
        WeightsError: If the file is missing, is no safetensors file, or has another sha256.
    """
    path = record.file
    if path.suffix != ".safetensors":
        raise WeightsError(f"{path}: only safetensors files are loaded; convert the pickle first")
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise WeightsError(
            f"{path}: no such weight file; reinstall fer_zoo or train the model"
        ) from error
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error}); copy or train it again") from error
    if record.sha256 and (found := hashlib.sha256(content).hexdigest()) != record.sha256:
        raise WeightsError(
            f"{path}: sha256 is {found}, expected {record.sha256}: the file is damaged or was "
            "replaced; copy or train it again"
        )
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(f"{path} is damaged ({error}); copy or train it again") from error
    return tensors


def tensors_to_save(state_dict: dict[str, Tensor], dtype: torch.dtype | None) -> dict[str, Tensor]:
    """Returns the tensors of a model as a file is to hold them.

    Args:
        state_dict: The tensors by name.
        dtype: Type of the floating-point ones; their own where not given.

    Raises:
        WeightsError: If a tensor is not finite, as it is or in ``dtype``.
    """
    tensors = {}
    for name, tensor in state_dict.items():
        value = tensor.detach().cpu().contiguous()
        if value.is_floating_point():
            value = value.to(dtype or value.dtype)
            if not value.isfinite().all():
                raise WeightsError(f"{name} is not finite in {value.dtype}; nothing was saved")
        tensors[name] = value.clone()  # safetensors refuses memory that tensors share
    return tensors
