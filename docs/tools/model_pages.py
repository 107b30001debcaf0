"""A page of the site for each model of the registry."""

import re
from typing import Any

from result_records import RECIPES, RESULTS, ROOT, percent, result_of, rows, spread

from fer_zoo.model_info import describe
from fer_zoo.models import create_model, list_models
from fer_zoo.training import recipe_of

TWIN = "_224"


def architectures() -> list[str]:
    """Returns the models that have a page; those for 224 pixels are on that of their twin."""
    return [name for name in list_models() if not name.endswith(TWIN)]


def model_page(name: str) -> str:
    """Returns the page of a model: what it is, its weights, its layers and its recipe."""
    facts = describe(name)
    kind = f"fer_zoo.models.{type(create_model(name)).__name__}"
    papers = [f"[{paper}](https://arxiv.org/abs/{paper.removeprefix('arXiv:')})"
              for paper in re.findall(r"arXiv:[\d.]+\d", str(facts["papers"]))]  # fmt: skip
    lines = [
        f"# {name}",
        "",
        facts["description"],
        "",
        f"Class: [`{kind}`][{kind}]." + (f" Paper: {', '.join(papers)}." if papers else ""),
        "",
        *_drawing(name),
        "```python",
        "import fer_zoo",
        "",
        f'model = fer_zoo.create_model("{name}"{", pretrained=True" if _weights(name) else ""})',
        "```",
        "",
        *_sizes(name, facts),
        "## Weights",
        "",
        *_weights_lines(name),
        "## Layers",
        "",
        "What each layer gives for one face.",
        "",
        "| layer | class | output | parameters |",
        "|---|---|---|--:|",
        *(
            f"| `{layer['name']}` | `{layer['class']}` | {'x'.join(map(str, layer['output']))} "
            f"| {layer['params']:,} |"
            for layer in facts["layers"]
        ),
        "",
        *_recipe(name),
    ]
    return "\n".join(lines)


def _weights(name: str) -> list[str]:
    tags = [row["weights"] for row in rows() if row["model"] == name]
    return [f"{name}.{tag}" for tag in tags if tag]


def _drawing(name: str) -> list[str]:
    """Shows the drawing of the layers, if there is one of this model."""
    for path in sorted((ROOT / "docs" / "pictures").glob("*.svg")):
        if re.search(rf">{name}, [\d.]+ M parameters<", path.read_text()):
            return [f"![layers of {name}](../pictures/{path.name})", ""]
    return []


def _sizes(name: str, facts: dict[str, Any]) -> list[str]:
    twin = [describe(f"{name}{TWIN}")] if f"{name}{TWIN}" in list_models() else []
    found = [facts, *twin]
    names = [f"`{f['model']}`" for f in found]
    cells = {
        "input": ["x".join(map(str, f["preprocessing"]["input_size"])) for f in found],
        "parameters": [f"{f['params']:,}" for f in found],
        "multiply-accumulates": [f"{f['macs']:,}" for f in found],
    }
    return [
        f"| | {' | '.join(names)} |",
        f"|---|{'--:|' * len(found)}",
        *(f"| {key} | {' | '.join(values)} |" for key, values in cells.items()),
        "",
    ]


def _weights_lines(name: str) -> list[str]:
    shipped = _weights(name)
    if not shipped:
        return ["There are none: train the model first.", ""]
    lines = [
        "Accuracy is on PublicTest. For `ferplus` it is that against the majority of the FER+",
        "votes. The cards have all figures, the run, and what PublicTest chose.",
        "",
        "| card | accuracy % | 95 % interval | with mirror % | 20 views % | calibrated ECE |",
        "|---|--:|---|--:|--:|--:|",
    ]
    for weights in shipped:
        result = result_of(weights)
        lines.append(
            f"| [`{weights}`](../model_cards/{weights}.md) | {percent(result['metrics'])} "
            f"| {spread(result['intervals']['accuracy'])} | {percent(result['metrics_flip'])} "
            f"| {percent(result.get('metrics_views'))} | {result['calibrated']['ece']:.3f} |"
        )
    lines.append("")
    for weights in shipped:
        if (RESULTS / f"{weights}-curves.png").is_file():
            lines += [f"![loss and accuracy of each epoch](../results/{weights}-curves.png)", ""]
        else:
            lines += [f"`{weights}` has no curves: no log of its run was kept.", ""]
        lines += [f"![confusion matrix](../results/{weights}-confusion.png)", ""]
    return lines


def _recipe(name: str) -> list[str]:
    path = RECIPES / f"{recipe_of(name)}.toml"
    if not path.is_file():
        return []
    return [
        "## Recipe",
        "",
        "The recipe starts from random weights. The settings that made the shipped weights are on",
        "their cards.",
        "",
        "```console",
        f"fer-zoo train {name} --data fer2013.csv --out runs/{name}",
        "```",
        "",
        "```toml",
        path.read_text().strip(),
        "```",
        "",
    ]
