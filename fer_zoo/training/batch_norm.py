"""Statistics of batch norm, estimated on faces as validation and use show them."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@torch.no_grad()
def reestimate_batch_norm(
    model: nn.Module, batches: Iterable[Tensor], predict: Callable[[Tensor], object]
) -> None:
    """Replaces the running statistics of a model's batch norm layers by those of its input.

    Running statistics come from augmented faces, at the sizes of the last epochs, and lag behind
    the weights (Wu and Johnson 2021, arXiv:2105.07576, section 3). Weights, dropout and the modes
    of the modules stay as they are. A model without batch norm is left alone.

    Args:
        model: The model to change, in eval mode.
        batches: Its input (N, C, H, W), in batches of about one size; each counts the same.
        predict: Calls the model, in the precision of training.
    """
    layers = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.train()
    for i, batch in enumerate(batches):
        for layer in layers:
            layer.momentum = 1 / (i + 1)  # the mean of the batches so far
        predict(batch)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()


__all__ = ["reestimate_batch_norm"]
