"""Temperature scaling: probabilities that mean what they say."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.model_selection import GroupKFold
from torch import Tensor

from fer_zoo.errors import DataError

#: Temperatures that are searched.
LOWEST, HIGHEST = 0.05, 20.0

#: Parts of cross-fitting.
FOLDS = 5


def fit_temperature(logits: Tensor, targets: Tensor) -> float:
    """Finds what to divide logits by so that the labels are likeliest.

    Guo et al. 2017, arXiv:1706.04599. The mean log-loss is convex in the inverse temperature, so
    the search finds its only minimum. Accuracy stays as it is: a temperature does not change the
    order of the classes.

    Args:
        logits: (N, C).
        targets: Class indices (N,).

    Returns:
        The temperature, within :data:`LOWEST` and :data:`HIGHEST`; above 1 the model is
        overconfident.

    Raises:
        DataError: If there are no faces, or logits are not finite.

    Example:
        >>> import torch
        >>> right = torch.tensor([[4.0, 0.0]] * 3 + [[0.0, 4.0]])  # 98 % sure, 75 % right
        >>> round(fit_temperature(right, torch.zeros(4, dtype=torch.long)), 2)  # 4 / ln 3
        3.64
    """
    if not len(targets) or not logits.isfinite().all():
        raise DataError("a temperature needs faces, and logits that are finite")
    exact = logits.double()

    def loss(log_temperature: float) -> float:
        return float(F.cross_entropy(exact / math.exp(log_temperature), targets))

    bounds = (math.log(LOWEST), math.log(HIGHEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(math.exp(found.x))


def cross_fit(
    logits: Tensor, targets: Tensor, groups: NDArray[np.integer], folds: int = FOLDS
) -> Tensor:
    """Calibrates each face with a temperature that was fitted on other faces.

    A temperature looks better on the faces that it was fitted on. So the faces are split into
    folds, copies of one face in the same fold, and each fold's temperature comes from the others.

    Args:
        logits: (N, C).
        targets: Class indices (N,).
        groups: Number of each face's duplicate group, (N,).
        folds: Into how many parts to split the faces.

    Returns:
        Probabilities (N, C).

    Raises:
        DataError: If there are fewer groups than folds.
    """
    if len(np.unique(groups)) < folds:
        raise DataError(f"{folds} folds need as many different faces")
    probabilities = torch.empty_like(logits)
    for others, held in GroupKFold(folds).split(logits.numpy(), groups=groups):
        temperature = fit_temperature(logits[others], targets[others])
        probabilities[held] = (logits[held] / temperature).softmax(dim=1)
    return probabilities
