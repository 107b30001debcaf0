"""The JSON of the service, in and out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from fer_zoo.inference.prediction import Prediction


class _Json(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid")


class Base64Picture(_Json):
    """A picture as JSON."""

    image: str = Field(min_length=1)
    """The bytes of an image file in base64, or a data URI with them."""


class Options(_Json):
    """What a request may ask for in its address."""

    detect: bool = False
    """Whether the faces of a photograph are found first; else the picture is one face."""


class Face(_Json):
    """What is said of one face."""

    label: str
    """The likeliest label."""
    confidence: float
    """Its probability."""
    probabilities: dict[str, float]
    """Every label's probability."""
    box: tuple[float, float, float, float] | None
    """Corners x0, y0, x1, y1 in pixels; null if the picture was taken whole."""
    warning: str | None
    """Why the picture may be no cropped face, or null."""


class ServedModel(_Json):
    """Which model answers."""

    name: str
    """Its name."""
    weights_sha256: str | None
    """Which weights it has; null if that is on no record."""
    fer_zoo: str
    """The version of fer_zoo."""


class Answer(_Json):
    """The faces of a picture. Apparent expression is not felt emotion."""

    faces: list[Face]
    """One per face, the surest detection first; empty if there is none."""
    warnings: list[str]
    """What to know of them."""
    model: ServedModel
    """Which model answered."""


class Problem(_Json):
    """Why there is no answer."""

    detail: str
    """What was wrong, and the way out."""


class State(_Json):
    """How the service is."""

    status: Literal["live", "ready", "busy"]
    """Whether it answers, and whether it would take a further picture."""


def to_answer(found: Sequence[Prediction], left_out: int, model: ServedModel) -> Answer:
    """Returns the answer to a request.

    Args:
        found: The faces.
        left_out: How many more there are.
        model: Which model answers.
    """
    faces = [
        Face(
            label=face.label,
            confidence=face.probability,
            probabilities=face.probabilities,
            box=face.box,
            warning=face.warning,
        )
        for face in found
    ]
    warnings = [face.warning for face in found if face.warning]
    if left_out:
        total = len(found) + left_out
        warnings.append(f"{total} faces were found; the surest {len(found)} are given")
    return Answer(faces=faces, warnings=warnings, model=model)
