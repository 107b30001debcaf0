"""The errors a user can meet. Each message names what is wrong, where, and the way out."""

from collections.abc import Sequence
from typing import Any


class FerZooError(Exception):
    """Base of every error raised for a user's mistake or a bad file; the CLI prints it plainly."""


class UnknownModelError(FerZooError, ValueError):
    """A model name, weights tag or recipe that does not exist; the message offers the closest."""


class WeightsError(FerZooError, RuntimeError):
    """A weight file that is damaged, does not fit its model, or has the wrong sha256."""


class DataError(FerZooError, ValueError):
    """A data file, row or image that cannot be used; the message names the file and the row."""


class SplitNotFoundError(DataError):
    """A split that a data set does not have; the message names those that it has."""


class MergedSplitsError(DataError):
    """A folder that holds several splits of a data set, whose faces cannot be told apart."""


class DataNotFoundError(FerZooError, FileNotFoundError):
    """No data set at the given path; the message lists the layouts that are understood."""


class ImageError(FerZooError, ValueError):
    """An input to predict that is no usable image; the message names the file.

    Attributes:
        predictions: Where one of several images cannot be used: what the images before it gave.
    """

    predictions: Sequence[Any] = ()


class VideoError(FerZooError, ValueError):
    """A video that cannot be read, or a camera that is not there; the message names it."""


class ImageTooLargeError(ImageError):
    """An image of more pixels than are read; the message names the size and the bound."""


class ConfigError(FerZooError, ValueError):
    """A setting that does not exist, has the wrong type, or contradicts another."""


class ArgumentError(ConfigError, TypeError):
    """An argument that a model does not take; the message names those that it takes."""


class TrainingError(FerZooError, RuntimeError):
    """Training cannot go on (non-finite loss, unusable checkpoint); the message says what next."""


class ExportError(FerZooError, ValueError):
    """A model that cannot be exported, or whose file would give something else than the model."""


class ExplanationError(FerZooError, ValueError):
    """A heat map that a model cannot have, or that would say nothing; the message says why."""


class MissingDependencyError(FerZooError, ImportError):
    """An optional dependency is not installed; the message gives the extra to install."""


class HubError(FerZooError, OSError):
    """The Hugging Face hub was not reached or refused; the message says what is there already."""


class OutputError(FerZooError, OSError):
    """A file that cannot be written (full disk, read-only folder); what was there is unharmed."""
