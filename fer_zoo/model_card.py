"""Model cards of the Hugging Face hub: front matter that its validator accepts, and text."""

import hashlib
import html
import json
import math
import re
from collections.abc import Iterator
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from tabulate import tabulate

from fer_zoo.models._build import PREFIX
from fer_zoo.models.face_model import FaceModel
from fer_zoo.models.weights import JsonObject

#: Figures of config.json's metrics that a card names: the hub's type of each, and its name.
_METRICS = {
    "accuracy": ("accuracy", "accuracy"),
    "balanced_accuracy": ("balanced_accuracy", "balanced accuracy"),
    "f1_macro": ("f1", "F1, macro"),
    "roc_auc_macro": ("roc_auc", "ROC AUC, one versus rest, macro"),
}
#: What limits every model, and what limits those of FER-2013's faces; each ends without a stop.
LIMITS = (
    "An apparent expression is not a felt emotion. Do not use the model for decisions about people"
)
FER2013_LIMITS = """\
The faces are grayscale, 48x48 pixels, from web searches of about 2013. People agree with
FER-2013's labels in about 65 % of cases (Goodfellow et al. 2013). An apparent expression
is not a felt emotion. It is unknown how figures differ by age, gender, ethnicity or
disability: FER-2013 has no such labels. Do not use the model for decisions about people"""
FER2013_TERMS = """\
The weights are under Apache-2.0. FER-2013's images have no clear licence; users must
judge what that means for weights trained on them. FER+ labels: MIT."""
#: Data sets of FER-2013's faces.
_FER2013 = ("fer2013", "ferplus")
_OF_CLASS = ("precision", "recall", "f1")
_SEAL = re.compile(r"\n<!-- fer_zoo renews this card while it is unchanged: ([0-9a-f]{64}) -->\n$")


def sealed(text: str) -> str:
    """Returns a card with a last line that tells whether anyone changed it."""
    text = text.rstrip("\n") + "\n"
    return f"{text}\n<!-- fer_zoo renews this card while it is unchanged: {_sha256(text)} -->\n"


def is_sealed(text: str) -> bool:
    """Says whether a card is as :func:`sealed` returned it."""
    text = text.replace("\r\n", "\n")
    found = _SEAL.search(text)
    return found is not None and found[1] == _sha256(text[: found.start()])


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def card_data(
    name: str, license_name: str | None, metrics: JsonObject, dataset: str = ""
) -> ModelCardData:
    """Returns the front matter of a card, with the figures as a model index.

    Args:
        name: What the model is called.
        license_name: The hub's short name of the licence, such as ``"apache-2.0"``.
        metrics: The figures of each split, such as ``{"val": {"accuracy": 0.7}}``; those of
            ``val_flip`` are taken with the mirror image.
        dataset: What the faces come from, such as ``"fer2013"``; empty where it is not known.
    """
    results = [
        EvalResult(
            task_type="image-classification",
            task_name="facial-expression recognition",
            dataset_type=dataset or "unknown",
            dataset_name=dataset or "not stated",
            dataset_split=split.removesuffix("_flip"),
            metric_type=kind,
            metric_name=text + (", with the mirror image" if split.endswith("_flip") else ""),
            metric_value=round(float(figures[key]), 6),
        )
        for split, figures in _splits(metrics)
        for key, (kind, text) in _METRICS.items()
        if _is_figure(figures.get(key))
    ]
    return ModelCardData(
        license=license_name,
        library_name="timm",
        pipeline_tag="image-classification",
        tags=["facial-expression-recognition", "fer_zoo"],
        datasets=[dataset] if dataset else None,
        metrics=sorted({result.metric_type for result in results}) or None,
        model_name=name if results else None,
        eval_results=results or None,
    )


def _splits(metrics: object) -> Iterator[tuple[str, JsonObject]]:
    for split, figures in metrics.items() if isinstance(metrics, dict) else ():
        if isinstance(figures, dict):
            yield str(split), figures


def _is_figure(value: object) -> bool:
    return isinstance(value, (int, float)) and type(value) is not bool and math.isfinite(value)


def load_lines(name: str, hub: bool = True, gray: bool = True) -> str:
    """Returns Markdown that shows how to load a model.

    Args:
        name: A repository of the hub, or a folder.
        hub: Whether it is a repository.
        gray: Whether the model takes one channel.
    """
    mode, why = ("L", "gray; a pipeline of transformers gives RGB") if gray else ("RGB", "or gray")
    ours, timms, theirs = (
        (f"hf-hub:{name}", f"hf-hub:{name}", name)
        if hub
        else (f"./{name}", f"local-dir:{name}", f"./{name}")
    )
    return f"""With fer_zoo:

```python
import fer_zoo

model = fer_zoo.from_pretrained("{ours}")
```

With timm; `import fer_zoo` registers the architecture:

```python
import fer_zoo
import timm

model = timm.create_model("{timms}", pretrained=True)
```

With transformers, which uses timm; it needs `import fer_zoo` too:

```python
import fer_zoo
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification

model = AutoModelForImageClassification.from_pretrained("{theirs}").eval()
processor = AutoImageProcessor.from_pretrained("{theirs}")
face = Image.open("face.png").convert("{mode}")  # {why}
logits = model(**processor(face, return_tensors="pt")).logits
```"""


def _plain(label: str) -> str:
    """Returns a label as Markdown shows it, in a table too."""
    return html.escape(label, quote=False).replace("|", "\\|")


def card_of(
    model: FaceModel,
    name: str,
    config: JsonObject,
    hub: bool = True,
    figures: str = "",
    data: str = "",
) -> ModelCard:
    """Returns the card of a model.

    Args:
        model: The model.
        name: ``owner/name`` on the hub, or the name of its folder.
        config: Root keys of config.json; ``metrics``, ``recipe``, ``training``, ``dataset`` and
            ``license`` are shown, as far as they are what training writes.
        hub: Whether the model is, or will be, on the hub.
        figures: What a reader must know of the figures.
        data: What the model learnt from.
    """
    cfg, terms = model.pretrained_cfg, config.get("license")
    dataset = str(config.get("dataset") or "")
    metrics, recipe, training = (
        part if isinstance(part := config.get(key), dict) else {}
        for key in ("metrics", "recipe", "training")
    )
    size = "x".join(map(str, cfg["input_size"]))
    front = card_data(name, terms if isinstance(terms, str) else None, metrics, dataset)
    limits = f"{FER2013_LIMITS}.\n\n{FER2013_TERMS}" if dataset in _FER2013 else f"{LIMITS}."
    code = f"```json\n{json.dumps(recipe, indent=2, default=str)}\n```" if recipe else ""
    sections = {
        "Figures": [*_overall(metrics), figures, *_by_class(metrics)],
        "Data": [data],
        "How it was made": ["\n".join(_facts(recipe, training))],
        "Recipe": [code],
        "Limits": [limits],
    }
    lines = [
        f"---\n{front.to_yaml()}\n---",
        f"# {name}",
        f"{cfg['architecture'].removeprefix(PREFIX)} of fer_zoo: gray faces {size} to "
        f"{', '.join(map(_plain, model.label_names)) or 'features'}.",
        load_lines(name, hub, cfg["input_size"][0] == 1),
    ]
    for title, parts in sections.items():
        if any(parts):
            lines += [f"## {title}", *filter(None, parts)]
    return ModelCard("\n\n".join(lines) + "\n", ignore_metadata_errors=False)


def _overall(metrics: JsonObject) -> list[str]:
    """Returns a table of the overall figures of each split."""
    keys = [k for k in _METRICS if any(_is_figure(known.get(k)) for _, known in _splits(metrics))]
    rows = [
        [split, known.get("n", ""), *(_share(known.get(key)) for key in keys)]
        for split, known in _splits(metrics)
    ]
    heads = ["split", "faces", *(f"{_METRICS[key][1]} %" for key in keys)]
    return [tabulate(rows, heads, "github", disable_numparse=True)] if keys else []


def _by_class(metrics: JsonObject) -> list[str]:
    """Returns a table of the figures of each class, of the first split that has them."""
    for split, figures in _splits(metrics):
        if rows := [
            [
                _plain(label),
                *(_share(known.get(key)) for key in _OF_CLASS),
                known.get("support", ""),
            ]
            for label, known in _splits(figures.get("per_class"))
        ]:
            heads = [f"class, {split}", *(f"{key} %" for key in _OF_CLASS), "faces"]
            return [tabulate(rows, heads, "github", disable_numparse=True)]
    return []


def _share(value: Any) -> str:
    return f"{100 * value:.2f}" if _is_figure(value) else ""


def _facts(recipe: JsonObject, training: JsonObject) -> list[str]:
    """Says how a run went, as far as its record knows."""
    versions, command = training.get("versions"), training.get("command")
    facts = {
        "training faces": training.get("training_faces"),
        "epoch": training.get("epochs"),
        "epochs planned": recipe.get("epochs"),
        "seed": recipe.get("seed"),
        "hours": training.get("hours"),
        "hardware": training.get("hardware"),
        "precision": {"True": "bfloat16", "False": "float32"}.get(str(training.get("bfloat16"))),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items())
        if isinstance(versions, dict)
        else "",
        "command": f"`{short_command(command)}`" if isinstance(command, str) else "",
        "faces without augmentation that gave the batch norm statistics after the run": (
            training.get("norm_faces_afterwards")
        ),
        "share of the initial weights, mixed in after the run": (
            training.get("keep_start_afterwards")
        ),
    }
    return [f"- {name}: {fact}" for name, fact in facts.items() if fact is not None and fact != ""]


def short_command(command: str) -> str:
    """Shortens absolute paths and that of the data in a command to their names."""
    command = re.sub(r"(?<!\S)/(?:[^\s/]+/)*", "", command)
    return re.sub(r"--data \S*?([^/\s]+)(?=\s|$)", r"--data \1", command)
