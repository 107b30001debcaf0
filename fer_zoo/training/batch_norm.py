"""Statistics of batch norms, taken from faces as they are met in use."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@torch.no_grad()
def reestimate_norms(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replaces the running statistics of a model's batch norms by those of the given input.

    The running ones belong to augmented faces, at the size of the last epochs, and lag behind the
    weights (Wu and Johnson 2021, arXiv:2105.07576, section 3). Weights, dropout and the modes of
    the modules stay as they are; a model without batch norms is left alone.

    Args:
        model: The model to change, in eval mode.
        batches: Its input (N, C, H, W), in batches of about one size; each counts the same.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
    for i, batch in enumerate(batches):
        for norm in norms:
            norm.momentum = 1 / (i + 1)  # the mean of the batches so far
        model(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
