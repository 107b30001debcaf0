"""Models as the page downloads them, and what the page says of them."""

import re
from dataclasses import asdict, dataclass
from pathlib import Path

from fer_zoo.demo.graphs import for_page
from fer_zoo.errors import ConfigError


@dataclass(frozen=True)
class PageModel:
    """A model of the page.

    Args:
        name: What was exported, without the folders it lies in.
        file: From uint8 faces (N, H, W) to calibrated probabilities (N, num_classes).
        labels: Names of the classes, in the order of the output.
        license: Of the weights.
        note: What the page says of it.
    """

    name: str
    file: str
    labels: tuple[str, ...]
    license: str
    note: str

    def to_json(self) -> dict[str, object]:
        """Returns the values as the page reads them."""
        return asdict(self)


def export_models(models: list[str], folder: Path) -> list[PageModel]:
    """Exports models into a folder, with 8-bit weights.

    Args:
        models: Names, or folders that training wrote.
        folder: Where the files go.

    Returns:
        What the page says of each.

    Raises:
        ConfigError: If there is no model, or one twice.
        MissingDependencyError: If the extra ``export`` is not installed.
        UnknownModelError: If there is no such model.
    """
    shown = shown_names(models)
    return [
        _export_one(name, shown[i], folder / f"{i}-{_stem(shown[i])}.onnx")
        for i, name in enumerate(models)
    ]


def shown_names(models: list[str]) -> list[str]:
    """Returns what visitors read of models: of folders their last parts, as many as differ.

    Args:
        models: Names, or folders.

    Raises:
        ConfigError: If there is no model, or one twice.

    Example:
        >>> shown_names(["vgg_small", "dacl"])
        ['vgg_small', 'dacl']
    """
    whole = [Path(name).resolve().parts if Path(name).is_dir() else (name,) for name in models]
    if not models or len(set(whole)) < len(whole):
        raise ConfigError(f"the models are {models}; give one or more, each once (--models)")
    shown = []
    for own in whole:
        tails = (own[-n:] for n in range(1, len(own) + 1))
        unique = (tail for tail in tails if sum(w[-len(tail) :] == tail for w in whole) == 1)
        shown.append("/".join(next(unique, own)))
    return shown


def _export_one(name: str, shown: str, path: Path) -> PageModel:
    from fer_zoo.exporting import export

    record = export(name, path).record
    content = for_page(path.read_bytes())
    path.write_bytes(content)
    note = f"{_accuracy(name)}{len(content) / 1e6:.1f}\N{NO-BREAK SPACE}MB"
    return PageModel(shown, f"models/{path.name}", record.label_names, record.license, note)


def _stem(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).strip("-.")[-60:]


def _accuracy(name: str) -> str:
    from fer_zoo.model_table import known_model

    weights = (known_model(name) or {}).get("weights") or {}
    accuracy = weights.get("metrics", {}).get("val", {}).get("accuracy")
    what = "faces of the FER+ majority" if weights.get("tag") == "ferplus" else "faces"
    return f"right on {100 * accuracy:.0f} of 100 PublicTest {what}, " if accuracy else ""
