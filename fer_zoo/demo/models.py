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
        name: What was exported.
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
    if not models or len(set(models)) < len(models):
        raise ConfigError(f"the models are {models}; give one or more, each once (--models)")
    return [_export_one(name, f"{i}-{_stem(name)}", folder) for i, name in enumerate(models)]


def _export_one(name: str, stem: str, folder: Path) -> PageModel:
    from fer_zoo.exporting import export

    path = folder / f"{stem}.onnx"
    record = export(name, path).record
    content = for_page(path.read_bytes())
    path.write_bytes(content)
    note = f"{_accuracy(name)}{len(content) / 1e6:.1f}\N{NO-BREAK SPACE}MB"
    return PageModel(name, f"models/{path.name}", record.label_names, record.license, note)


def _stem(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[-60:]


def _accuracy(name: str) -> str:
    from fer_zoo.model_table import known_model

    weights = (known_model(name) or {}).get("weights") or {}
    accuracy = weights.get("metrics", {}).get("val", {}).get("accuracy")
    what = "faces of the FER+ majority" if weights.get("tag") == "ferplus" else "faces"
    return f"right on {100 * accuracy:.0f} of 100 PublicTest {what}, " if accuracy else ""
