"""Writes the tables of README and docs, model cards and recipes' results, from commands' records.

The records are ``docs/results/<weights>.json`` (``fer-zoo evaluate --flip --out``),
``docs/results/<weights>-corruptions.json`` (``fer-zoo evaluate --corruptions --out``),
``docs/results/bench.jsonl`` (``fer-zoo bench --json``) and the package's own record of its weights.

    python docs/generate.py            # writes
    python docs/generate.py --check    # fails if something is out of date
"""

import argparse
import dataclasses
import json
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from fer_zoo.corruptions import PROTOCOL
from fer_zoo.models._weights import weights_record
from fer_zoo.summary import model_rows
from fer_zoo.training import list_recipes, load_config

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "results"
RECIPES = ROOT / "fer_zoo" / "recipes"
Rows = list[dict[str, Any]]


@cache
def rows() -> Rows:
    """Returns a row per model and weights."""
    return model_rows()


def result_of(name: str, kind: str = "") -> dict[str, Any]:
    """Returns a result of shipped weights, such as ``dacl.fer2013``.

    Args:
        name: Name of the weights.
        kind: ``""`` for the evaluation, ``"-corruptions"`` for that on corrupted faces.
    """
    result: dict[str, Any] = json.loads((RESULTS / f"{name}{kind}.json").read_text())
    record = weights_record(f"fer_{name}")
    if record is None or result["provenance"]["weights_sha256"] != record["sha256"]:
        sys.exit(f"docs/results/{name}{kind}.json is of other weights: evaluate {name} again")
    return result


def percent(metrics: dict[str, Any] | None, key: str = "accuracy") -> str:
    """Returns a share in percent."""
    return "" if metrics is None else f"{100 * metrics[key]:.2f}"


def spread(interval: list[float]) -> str:
    """Returns an interval of shares in percent."""
    low, high = interval
    return f"{100 * low:.1f}-{100 * high:.1f}"


def models_table(cards: str, twins: bool) -> str:
    """Returns the models.

    Args:
        cards: Where the model cards lie, as seen from the page.
        twins: Whether to show the models for 224 pixels too.
    """
    lines = [
        "| model | parameters M | MACs M | input | weights | accuracy % | 95 % interval "
        "| with mirror % | calibrated ECE |",
        "|---|--:|--:|---|---|--:|---|--:|--:|",
    ]
    for row in rows():
        if row["model"].endswith("_224") and not twins:
            continue
        size = "x".join(map(str, row["input_size"]))
        start = (
            f"| `{row['model']}` | {row['params'] / 1e6:.2f} | {row['macs'] / 1e6:.0f} | {size} "
        )
        if not row["weights"]:
            lines.append(f"{start}| - | | | | |")
            continue
        name = f"{row['model']}.{row['weights']}"
        result = result_of(name)
        card = f"[`{row['weights']}`]({cards}/{name}.md)"
        figures = f"{percent(result['metrics'])} | {spread(result['intervals']['accuracy'])}"
        figures += f" | {percent(result['metrics_flip'])} | {result['calibrated']['ece']:.3f}"
        lines.append(f"{start}| {card} | {figures} |")
    return "\n".join(lines)


def bench_table() -> str:
    """Returns the speed of the models, as measured by ``fer-zoo bench``."""
    records = [json.loads(line) for line in (RESULTS / "bench.jsonl").read_text().splitlines()]
    kinds = {(r["hardware"], r["batch_size"], r["bfloat16"]) for r in records}
    if len(kinds) != 1:
        sys.exit("docs/results/bench.jsonl mixes machines or settings: run it again in one go")
    hardware, batch, bfloat16 = kinds.pop()
    kind = "bfloat16" if bfloat16 else "float32"
    lines = [
        f"{hardware}; batches of {batch}; training in {kind}, inference in float32.",
        "",
        "| model | training images/s | outside the model's step % | inference images/s "
        "| ms for one face | peak memory MiB |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| `{r['model']}` | {r['train_images_per_second']:.0f} | {100 * r['outside_share']:.1f} "
        f"| {r['infer_images_per_second']:.0f} | {r['infer_milliseconds']:.1f} "
        f"| {r['peak_memory_mib']:.0f} |"
        for r in records
    ]
    return "\n".join(lines)


def corruptions_table() -> str:
    """Returns the accuracy of each weights on corrupted faces."""
    lines = []
    for path in sorted(RESULTS.glob("*-corruptions.json")):
        name = path.stem.removesuffix("-corruptions")
        result, model = result_of(name, "-corruptions"), name.split(".")[0]
        if result["protocol"] != PROTOCOL:
            sys.exit(f"{path.name} is of {result['protocol']}: evaluate {name} again")
        lines += [
            *([""] if lines else []),
            f"`{model}` (`{name}`), {result['data']}, {result['protocol']}, seed {result['seed']}; "
            f"`{_command(result['provenance']['command'])}`",
            "",
            "| corruption | levels of severity 1 to 5 | 1 | 2 | 3 | 4 | 5 | mean |",
            "|---|---|--:|--:|--:|--:|--:|--:|",
        ]
        for corruption, found in result["corruptions"].items():
            cells = " | ".join(f"{100 * v:.2f}" for v in (*found["accuracy"], found["mean"]))
            levels = f"{', '.join(map(str, found['levels']))}: {found['meaning']}"
            lines.append(f"| {corruption} | {levels} | {cells} |")
        lines.append(f"| mean of all | | | | | | | {percent(result, 'mean')} |")
        lines.append(f"| clean faces | | | | | | | {percent(result, 'clean')} |")
    return "\n".join(lines)


def model_card(name: str) -> str:
    """Returns the card of shipped weights."""
    result, record = result_of(name), weights_record(f"fer_{name}") or {}
    model, _ = name.split(".")
    training, recipe, m = record["training"], record["recipe"], result["metrics"]
    votes = " and the FER+ votes of the same faces as a second head" if recipe["ferplus"] else ""
    lines = [
        "---",
        "license: apache-2.0",
        "library_name: fer_zoo",
        "tags: [facial-expression-recognition, image-classification, timm]",
        "---",
        f"# {name}",
        "",
        "```python",
        "import fer_zoo",
        "",
        f'predictor = fer_zoo.Predictor("{model}")',
        'print(predictor("face.png").label)',
        "```",
        "",
        f"File `{record['file']}`, sha256 `{record['sha256']}`.",
        "",
        "## Figures",
        "",
        "FER-2013 PublicTest, all 3,589 faces, computed in float32 by",
        f"`{_command(result['provenance']['command'])}` on {result['provenance']['hardware']}.",
        "**PublicTest also chose the best epoch, so its figures are a little high.** PrivateTest",
        "was not looked at. One seed. 95 % intervals come from 2,000 bootstrap samples of groups of",
        "identical faces; they leave out what choosing on PublicTest and other seeds would change.",
        "",
        "| | one view | 95 % interval | with the mirror image |",
        "|---|--:|---|--:|",
        *(
            f"| {text} | {percent(m, key)} | "
            f"{spread(result['intervals'][key]) if key in result['intervals'] else ''} | "
            f"{percent(result['metrics_flip'], key)} |"
            for key, text in {
                "accuracy": "accuracy %",
                "balanced_accuracy": "balanced accuracy %",
                "f1_macro": "F1 macro %",
                "f1_weighted": "F1 weighted %",
            }.items()
        ),
        *(
            f"| {text} | {m[key]:.4f} | | {result['metrics_flip'][key]:.4f} |"
            for key, text in {
                "roc_auc_macro": "ROC AUC, one versus rest, macro",
                "log_loss": "log-loss, nats",
                "brier": "Brier score, 0 to 2",
                "ece": "ECE, 15 bins",
            }.items()
        ),
        "",
        *evidence_lines(record, result),
        "",
        "| class | precision % | recall % | 95 % interval | F1 % | faces |",
        "|---|--:|--:|---|--:|--:|",
        *(
            f"| {label} | {percent(c, 'precision')} | {percent(c, 'recall')} "
            f"| {spread(result['intervals']['recall'][label])} | {percent(c, 'f1')} "
            f"| {c['support']} |"
            for label, c in m["per_class"].items()
        ),
        "",
        "## Training",
        "",
        f"From scratch on {training['training_faces']:,} Training faces of FER-2013 (without those",
        f"that are blank or equal a face of a later part), with their labels{votes}.",
        "",
        *run_lines(record),
        "## Limits",
        "",
        "Gray faces of 48x48 pixels from web searches of about 2013; people agree with their",
        "labels in about 65 % of cases (Goodfellow et al. 2013). An apparent expression is not a",
        "felt emotion. Nothing is known of how figures differ by age, gender, ethnicity or",
        "disability: FER-2013 has no such labels. Not for decisions about people; see",
        "[responsible use](../responsible_use.md).",
        "",
        "The weights are under Apache-2.0; FER-2013's images have no clear licence, and users must",
        "judge themselves what follows from that for weights trained on them. FER+ labels: MIT.",
        "",
    ]
    return "\n".join(lines)


def evidence_lines(record: dict[str, Any], result: dict[str, Any]) -> list[str]:
    """Describes what stands beside the figures: calibration, leak-free part, FER+."""
    calibrated, part, people = (result[key] for key in ("calibrated", "leak_free", "ferplus"))
    return [
        f"- `Predictor` divides logits by {record['temperature']}, the temperature fitted on all of",
        "  PublicTest; the figures above are without it. With a temperature fitted on other folds",
        f"  (5-fold, over groups of identical faces): log-loss {calibrated['log_loss']:.4f}, Brier",
        f"  {calibrated['brier']:.4f}, ECE {calibrated['ece']:.4f}.",
        f"- Without the faces that stand in several splits: {percent(part['metrics'])} %",
        f"  ({spread(part['intervals']['accuracy'])}) on {part['metrics']['n']:,} faces.",
        f"- FER+: {percent(people)} % right against the majority of its ten votes",
        f"  ({people['n_majority']:,} faces that have one of these classes); KL divergence from the",
        f"  votes {people['kl']:.4f} nats ({people['n']:,} faces).",
    ]


def run_lines(run: dict[str, Any]) -> list[str]:
    """Describes the run that made weights, from their record."""
    training, recipe = run["training"], run["recipe"]
    versions = ", ".join(f"{k} {v}" for k, v in training["versions"].items())
    kind = "bfloat16" if training["bfloat16"] else "float32"
    return [
        f"Best epoch {training['epochs']} of {recipe['epochs']}, after "
        f"{training['hours']:.2f} hours on {training['hardware']}, {kind}, seed {recipe['seed']},",
        f"{versions}. Accuracy on PublicTest: {percent(run['metrics']['val'])} %.",
        f"Command: `{train_command(run)}`",
        "",
        "```toml",
        *(f"{key} = {json.dumps(v)}" for key, v in recipe.items() if v not in ("", {})),
        "```",
        "",
    ]


def train_command(run: dict[str, Any]) -> str:
    """Returns what trains weights anew: by the recipe in the package if it says the same."""
    name = run["architecture"].removeprefix("fer_")
    if name in list_recipes() and dataclasses.asdict(load_config(name)) == run["recipe"]:
        return f"fer-zoo train {name} --data fer2013.csv --out runs/{name}"
    return _command(run["training"]["command"])


def measured(name: str) -> str:
    """Returns a recipe with its measured cost and result in the line for them.

    Args:
        name: Architecture and tag of the weights that it made.
    """
    path, record = RECIPES / f"{name.split('.')[0]}.toml", weights_record(f"fer_{name}") or {}
    training, epochs = record["training"], record["recipe"]["epochs"]
    line = (
        f"# Measured: best epoch {training['epochs']} of {epochs} after {training['hours']:.2f} h "
        f"on {training['hardware']}; {percent(result_of(name)['metrics'])} % on PublicTest."
    )
    return re.sub(r"^# Measured:.*$", line, path.read_text(), flags=re.MULTILINE)


def _command(command: str) -> str:
    """Shortens the path of the program to its name."""
    return re.sub(r"^\S*/fer-zoo\b", "fer-zoo", command)


BLOCKS: dict[str, Callable[[], str]] = {
    "models": lambda: models_table("docs/model_cards", twins=False),
    "all models": lambda: models_table("model_cards", twins=True),
    "bench": bench_table,
    "corruptions": corruptions_table,
}
PAGES = ("README.md", "docs/models.md", "docs/training.md", "docs/robustness.md")


def filled(page: str) -> str:
    """Returns a page with its generated blocks made anew."""
    text = (ROOT / page).read_text()

    def block(match: re.Match[str]) -> str:
        return f"{match[1]}\n{BLOCKS[match[2]]()}\n{match[3]}"

    pattern = r"(<!-- generated: (.*?) -->).*?(<!-- end -->)"
    return re.sub(pattern, block, text, flags=re.DOTALL)


def main() -> int:
    """Writes or checks everything."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail on differences")
    args = parser.parse_args()
    wanted = {ROOT / page: filled(page) for page in PAGES}
    for row in rows():
        if row["weights"]:
            name = f"{row['model']}.{row['weights']}"
            wanted[ROOT / "docs" / "model_cards" / f"{name}.md"] = model_card(name)
            wanted[RECIPES / f"{row['model']}.toml"] = measured(name)
    stale = [p for p, text in wanted.items() if not p.is_file() or p.read_text() != text]
    for path in stale:
        if not args.check:
            path.write_text(wanted[path])
        print(f"{path.relative_to(ROOT)}{': out of date' if args.check else ' written'}")
    return 1 if args.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
