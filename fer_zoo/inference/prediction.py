"""What is said of one face."""

from dataclasses import dataclass

from fer_zoo.inference.detection import Box


@dataclass(frozen=True)
class Prediction:
    """The expression that a face seems to show; apparent expression is not felt emotion.

    Args:
        label: The likeliest label.
        probability: Its probability.
        probabilities: Every label's probability, in the model's order.
        box: Corners x0, y0, x1, y1 of the face in pixels; None if the image was taken whole.
        path: The image's file or URL; None if it did not come from one.
        warning: Why this may mean nothing: the image seems to be no cropped face, where none was
            looked for; the face is blank, almost black or has hardly any contrast; its file has
            more frames. None where nothing is doubted.
    """

    label: str
    probability: float
    probabilities: dict[str, float]
    box: Box | None = None
    path: str | None = None
    warning: str | None = None

    def top(self, n: int) -> list[tuple[str, float]]:
        """Returns the n likeliest labels with their probabilities."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:n]
