"""FER+: the faces of FER-2013 with ten people's votes on each (Barsoum et al. 2016)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from fer_zoo.data.fer2013.dataset import FER2013, read_part
from fer_zoo.data.fer2013.layouts import Layout
from fer_zoo.errors import DataError
from fer_zoo.labels import FERPLUS_LABELS, FERPLUS_RULES


def ferplus_targets(votes: Tensor, rule: str) -> tuple[Tensor, Tensor]:
    """Turns FER+ votes into distributions, by the rules of its authors' release.

    A class with a single vote never counts. ``majority`` wants more than half of the votes on one
    class. ``soft`` takes the classes with most votes until they hold 75 % of them, at most three,
    together more than half; ``pld`` (probabilistic label drawing) is the same, for training that
    draws a label of it anew in each epoch (:func:`draw_labels`). ``multi`` takes every class with
    at least 30 %, together more than half. A face that is foremost "unknown" or "NF" (no face) is
    dropped.

    Args:
        votes: Whole numbers (N, 10) in the order of ``FERPLUS_VOTES``.
        rule: ``"majority"``, ``"soft"``, ``"pld"`` or ``"multi"``.

    Returns:
        Distributions (N, 8) in the order of ``FERPLUS_LABELS``, zeros where dropped; and which
        faces are kept, bool (N,).

    Raises:
        DataError: If there is no such rule.

    Example:
        >>> import torch
        >>> votes = torch.tensor([[6, 0, 0, 3, 1, 0, 0, 0, 0, 0]])
        >>> ferplus_targets(votes, "soft")[0][0, :4]
        tensor([0.6667, 0.0000, 0.0000, 0.3333])
    """
    check_rule(rule)
    rule = "soft" if rule == "pld" else rule
    num_classes = len(FERPLUS_LABELS)
    votes = votes.long()
    votes = votes.masked_fill(votes <= 1, 0)
    total = votes.sum(dim=1, keepdim=True)
    if rule == "majority":
        taken = 2 * votes > total
    elif rule == "multi":
        taken = (10 * votes >= 3 * total) & (votes > 0)
    else:
        taken = _foremost(votes, total)
    taken_votes = votes * taken
    held = taken_votes.sum(dim=1)
    classes, others = taken_votes[:, :num_classes], taken_votes[:, num_classes:]
    keep = (2 * held > total[:, 0]) & (classes.amax(dim=1) >= others.amax(dim=1))
    if rule == "soft":
        keep &= taken.sum(dim=1) <= 3
    targets = classes / classes.sum(dim=1, keepdim=True).clamp_min(1)
    return targets * keep[:, None], keep


def draw_labels(distributions: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draws one label per face, with the probability that its distribution gives it.

    Args:
        distributions: Votes or probabilities (N, C).
        generator: What the draw comes from; torch's own by default.

    Returns:
        Class indices (N,).

    Example:
        >>> import torch
        >>> draw_labels(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
        tensor([1, 0])
    """
    return torch.multinomial(distributions, 1, generator=generator)[:, 0]


def check_rule(rule: str) -> None:
    """Checks the name of a rule.

    Raises:
        DataError: If there is no such rule.
    """
    if rule not in FERPLUS_RULES:
        raise DataError(f"unknown FER+ rule {rule!r}; there are {', '.join(FERPLUS_RULES)}")


def _foremost(votes: Tensor, total: Tensor) -> Tensor:
    """Marks the classes (N, 10) that the soft rule takes: those of equal votes come together."""
    above = votes[:, None, :] > votes[:, :, None]  # (N, class, class with more votes)
    votes_above = (votes[:, None, :] * above).sum(dim=2)
    stopped = above[:, :, len(FERPLUS_LABELS) :].any(dim=2)
    taken = (votes > 0) & (4 * votes_above < 3 * total) & (above.sum(dim=2) < 3) & ~stopped
    # unknown and NF end the list, and are in it only if no class is
    some = taken[:, : len(FERPLUS_LABELS)].any(dim=1, keepdim=True)
    taken[:, len(FERPLUS_LABELS) :] &= ~some
    return taken


class FERPlus(FER2013):
    """FER+: the faces of FER-2013 with labels from ten people's votes, in eight classes.

    Barsoum et al. 2016, arXiv:1608.01041. Reads any layout that tells the rows of the original: a
    csv with ``fer2013new.csv`` beside it, or an ``.npz``. Without leaks excluded it holds the rows
    that its authors' release holds, less three Training rows for which FER+ names no image
    (``by_name=False`` keeps them).

    Args:
        root: As of :class:`FER2013`.
        split: ``"train"``, ``"val"`` or ``"test"``.
        transform: Applied to the PIL image (mode L) of a face when it is indexed.
        target: The rule of :func:`ferplus_targets` for ``train``. The others always follow
            ``"majority"``, as in the paper. Majority gives class indices, the others distributions;
            with ``"pld"`` indexing a face draws a class index of its distribution, each time anew.
        exclude_leaks: As of :class:`FER2013`.
        by_name: Whether to leave out faces for which FER+ names no image.
        cache: As of :class:`FER2013`.

    Raises:
        DataNotFoundError: If there is no FER-2013 at ``root``, or FER+ votes are missing.
        DataError: If a file or row cannot be used, or the layout does not tell the rows.

    Example:
        >>> FERPlus("data", "train", target="soft").targets.shape  # doctest: +SKIP
        torch.Size([27276, 8])
    """

    def __init__(
        self,
        root: str | Path | Layout,
        split: str = "train",
        transform: Callable[[Image.Image], object] | None = None,
        *,
        target: str = "majority",
        exclude_leaks: bool | None = None,
        by_name: bool = True,
        cache: bool = True,
    ) -> None:
        check_rule(target)
        part = read_part(
            root,
            split,
            exclude_leaks=exclude_leaks,
            with_votes=True,
            by_name=by_name,
            on_error="raise",
            cache=cache,
        )
        self.target = target if split == "train" else "majority"
        targets, keep = ferplus_targets(torch.as_tensor(part.table.votes), self.target)
        if not keep.any():
            raise DataError(f"{part.source}: FER+ {self.target} keeps none of them")
        targets = targets[keep]
        if self.target == "majority":
            targets = targets.argmax(dim=1)
        kept = part.keep(keep.numpy(), f"FER+ {self.target}")
        self._fill(kept, targets, FERPLUS_LABELS, transform)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, target = super().__getitem__(index)
        return image, int(draw_labels(target[None])) if self.target == "pld" else target
