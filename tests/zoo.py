"""Every registered model, for the tests of the contract."""

from functools import cache

import pytest
import timm
import torch

import fer_zoo

NAMES = fer_zoo.list_models()
#: Models of small faces. The others are too large to run here; they are built without memory.
NATIVE = [name for name in NAMES if timm.get_pretrained_cfg(f"fer_{name}").input_size[1] < 100]
LARGE = [name for name in NAMES if name not in NATIVE]
every_model = pytest.mark.parametrize("name", NATIVE)


def fresh(name, **kwargs):
    """A model in eval, the same at each call."""
    torch.manual_seed(0)
    return lively(fer_zoo.create_model(name, **kwargs)).eval()


@cache
def shared(name):
    """One model for all tests that leave it as it is; an export does not: give it a fresh one."""
    return fresh(name)


def lively(model):
    """Moves scales and biases off their first values: a residual branch may start at zero."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim <= 1:
                parameter += 0.1 * torch.randn_like(parameter)
        for buffer_name, buffer in model.named_buffers():
            if buffer_name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
    return model


def faces(n=2, size=48, channels=1, seed=1):
    size = size if isinstance(size, tuple) else (size, size)
    return torch.randn(n, channels, *size, generator=torch.Generator().manual_seed(seed))
