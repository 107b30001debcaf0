"""The models of README and docs/models.md, and the file that ``fer-zoo list`` reads."""

import json
from pathlib import Path

from result_records import percent, result_of, rows, spread

from fer_zoo.model_info import describe
from fer_zoo.models import list_models


def models_table(cards: str, twins: bool) -> str:
    """Returns the models.

    Args:
        cards: Where the model cards lie, as seen from the page.
        twins: Whether to show the models for 224 pixels too.
    """
    lines = [
        "| model | parameters M | MACs M | input | weights | accuracy % | 95 % interval "
        "| with mirror % | 20 views % | calibrated ECE |",
        "|---|--:|--:|---|---|--:|---|--:|--:|--:|",
    ]
    for row in rows():
        if row["model"].endswith("_224") and not twins:
            continue
        size = "x".join(map(str, row["input_size"]))
        start = (
            f"| `{row['model']}` | {row['params'] / 1e6:.2f} | {row['macs'] / 1e6:.0f} | {size} "
        )
        if not row["weights"]:
            lines.append(f"{start}| - | | | | | |")
            continue
        name = f"{row['model']}.{row['weights']}"
        result = result_of(name)
        card = f"[`{row['weights']}`]({cards}/{name}.md)"
        figures = f"{percent(result['metrics'])} | {spread(result['intervals']['accuracy'])}"
        figures += f" | {percent(result['metrics_flip'])} | {percent(result.get('metrics_views'))}"
        figures += f" | {result['calibrated']['ece']:.3f}"
        lines.append(f"{start}| {card} | {figures} |")
    return "\n".join(lines)


def model_table() -> str:
    """Returns the table of ``fer-zoo list`` and ``fer-zoo info``, a model a line."""
    lines = []
    for name in sorted([*list_models(), *list_models(pretrained=True)]):
        facts = describe(name)
        record = Path(facts.pop("weights").get("file", "")).stem
        entry = {"record": record or None, **{k: v for k, v in facts.items() if k != "model"}}
        lines.append(f"{json.dumps(name)}: {json.dumps(entry, separators=(',', ':'))}")
    return "{\n" + ",\n".join(lines) + "\n}\n"
