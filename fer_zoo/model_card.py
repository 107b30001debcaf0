"""Model cards of the Hugging Face hub: front matter that its validator accepts, and text."""

import json

from huggingface_hub import EvalResult, ModelCard, ModelCardData

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
        for split, figures in metrics.items()
        if isinstance(figures, dict)
        for key, (kind, text) in _METRICS.items()
        if figures.get(key) is not None
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


def load_lines(repo_id: str) -> str:
    """Returns Markdown that shows how to load a repository of the hub."""
    return f"""With fer_zoo:

```python
import fer_zoo

model = fer_zoo.from_pretrained("hf-hub:{repo_id}")
```

With timm; `import fer_zoo` registers the architecture:

```python
import fer_zoo
import timm

model = timm.create_model("hf-hub:{repo_id}", pretrained=True)
```

With transformers, which uses timm; it needs `import fer_zoo` too:

```python
import fer_zoo
from transformers import AutoModelForImageClassification

model = AutoModelForImageClassification.from_pretrained("{repo_id}")
```"""


def card_of(model: FaceModel, repo_id: str, config: JsonObject) -> ModelCard:
    """Returns the card of a model.

    Args:
        model: The model.
        repo_id: ``owner/name`` on the hub.
        config: Root keys of config.json; ``metrics``, ``recipe`` and ``dataset`` are shown.
    """
    cfg, metrics = model.pretrained_cfg, config.get("metrics", {})
    data = card_data(repo_id, cfg.get("license"), metrics, config.get("dataset", ""))
    size = "x".join(map(str, cfg["input_size"]))
    lines = [
        f"---\n{data.to_yaml()}\n---",
        f"# {repo_id}",
        f"{cfg['architecture'].removeprefix(PREFIX)} of fer_zoo: gray faces {size} to "
        f"{', '.join(model.label_names) or 'features'}.",
        load_lines(repo_id),
        *(
            f"Accuracy on {split}: {100 * figures['accuracy']:.2f} %."
            for split, figures in metrics.items()
            if isinstance(figures, dict) and "accuracy" in figures
        ),
        "## Limits\n\nAn apparent expression is not a felt emotion. Do not use the model for "
        "decisions about people.",
    ]
    if recipe := config.get("recipe"):
        lines.append(f"## Recipe\n\n```json\n{json.dumps(recipe, indent=2)}\n```")
    return ModelCard("\n\n".join(lines) + "\n", ignore_metadata_errors=False)
