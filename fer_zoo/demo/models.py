"""Models as the page downloads them, and what the page says of them."""

import re
from dataclasses import asdict, dataclass
from pathlib import Path

from fer_zoo.demo.graphs import cut_and_shrink
from fer_zoo.errors import ConfigError


@dataclass(frozen=True)
class PageModel:
    """A model of the page.

    Args:
        name: What was exported.
        preparation: Its file from uint8 faces (N, H, W) to resized faces.
        network: Its file from there to calibrated probabilities (N, num_classes).
        labels: Names of the classes, in the order of the output.
        license: Of the weights.
        note: What the page says of it.
    """

    name: str
    preparation: str
    network: str
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

    whole, network = folder / f"{stem}.onnx", folder / f"{stem}.network.onnx"
    preparation = folder / f"{stem}.preparation.onnx"
    record = export(name, whole).record
    parts = cut_and_shrink(whole.read_bytes())
    whole.unlink()
    for path, content in zip((preparation, network), parts, strict=True):
        path.write_bytes(content)
    return PageModel(
        name,
        preparation=f"models/{preparation.name}",
        network=f"models/{network.name}",
        labels=record.label_names,
        license=record.license,
        note=f"{_accuracy(name)}{len(parts[1]) / 1e6:.1f} MB",
    )


def _stem(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[-60:]


def _accuracy(name: str) -> str:
    from fer_zoo.model_table import known_model

    weights = (known_model(name) or {}).get("weights") or {}
    accuracy = weights.get("metrics", {}).get("val", {}).get("accuracy")
    what = "faces of the FER+ majority" if weights.get("tag") == "ferplus" else "faces"
    return f"right on {100 * accuracy:.0f} of 100 PublicTest {what}, " if accuracy else ""
