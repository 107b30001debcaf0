"""Writes the tables of README and docs, model cards and recipes' results, from commands' records.

The records are ``docs/results/<weights>.json`` (``fer-zoo evaluate --flip --out``),
``docs/results/<weights>-corruptions.json`` (``fer-zoo evaluate --corruptions --out``),
``docs/results/bench.jsonl`` (``fer-zoo bench --json``), ``docs/results/engines.jsonl`` (``fer-zoo
bench --engines --json``), ``docs/results/crops.json``
(``docs/tools/measure_crops.py``), ``docs/results/video.json``
(``docs/tools/measure_video.py``), ``docs/results/why_adam_failed.json`` (the
example) and the package's own record of its weights.

    python docs/tools/generate.py            # writes
    python docs/tools/generate.py --check    # fails if something is out of date
"""

import argparse
import csv
import json
import re
import statistics
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pictures
from crop_tables import crops_text
from diagrams import DIAGRAMS
from heat_map_tables import heat_maps_text
from video_tables import video_text

from fer_zoo.errors import ConfigError
from fer_zoo.evaluation.corruptions import PROTOCOL
from fer_zoo.labels import FERPLUS_LABELS, same_labels
from fer_zoo.model_card import FER2013_LIMITS, FER2013_TERMS, card_data, short_command
from fer_zoo.model_info import describe, model_rows
from fer_zoo.model_table import TABLE_PATH
from fer_zoo.models import list_models
from fer_zoo.models.weights import WeightsRecord, embedded_record
from fer_zoo.publishing.repository import begun, learnt
from fer_zoo.training import load_config, recipe_of

ROOT = Path(__file__).parents[2]
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
    if result["provenance"]["weights_sha256"] != record_of(name).sha256:
        sys.exit(f"docs/results/{name}{kind}.json is of other weights: evaluate {name} again")
    return result


def record_of(name: str) -> WeightsRecord:
    """Returns the record of shipped weights, such as ``dacl.fer2013``."""
    record = embedded_record(f"fer_{name}")
    if record is None:
        sys.exit(f"{name} is not in the package: embed it first")
    return record


def percent(metrics: dict[str, Any] | None, key: str = "accuracy") -> str:
    """Returns a share in percent."""
    return "" if metrics is None else f"{100 * metrics[key]:.2f}"


def number(metrics: dict[str, Any] | None, key: str) -> str:
    """Returns a figure that is no share."""
    return "" if metrics is None else f"{metrics[key]:.4f}"


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


def engines_table() -> str:
    """Returns the speed of predictions by engine, of ``fer-zoo bench --engines --json``."""
    records = [json.loads(line) for line in (RESULTS / "engines.jsonl").read_text().splitlines()]
    kinds = {(r["hardware"].split(",")[0], r["threads"]) for r in records}
    if len(kinds) != 1:
        sys.exit("docs/results/engines.jsonl mixes machines or threads: run it again in one go")
    hardware, threads = kinds.pop()
    whole = {r["model"]: r["accuracy"] for r in records if r["engine"] == "torch"}
    forms = {
        "milliseconds": "{:.2f}", "faces_per_second": "{:.0f}", "start_seconds": "{:.2f}",
        "start_mebibytes": "{:.0f}", "file_mebibytes": "{:.1f}",
    }  # fmt: skip
    lines = [
        f"{hardware}; threads of a pass: {threads}.",
        "",
        "| model | engine | ms for one face | faces/s | start s | start MiB | file MiB "
        "| accuracy % | points lost |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for r in records:
        cells = ["" if r[key] is None else form.format(r[key]) for key, form in forms.items()]
        accuracy = "" if r["accuracy"] is None else f"{100 * r['accuracy']:.2f}"
        lost = f"{100 * (whole[r['model']] - r['accuracy']):.2f}" if "int8" in r["engine"] else ""
        lines.append(f"| `{r['model']}` | {r['engine']} | {' | '.join([*cells, accuracy, lost])} |")
    return "\n".join(lines)


def ensembles_table() -> str:
    """Returns what each member adds to an ensemble, from records that are named by their number."""
    results = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("ensemble-*.json"))]
    singles = [result_of(f"{name}.fer2013") for name in results[-1]["model"].split(",")]
    shas = {
        result["model"].removesuffix(".fer2013"): result["provenance"]["weights_sha256"]
        for result in singles
    }
    lines = [
        "| members | accuracy % | 95 % interval | with mirror % | 20 views % | ECE |",
        "|---|--:|---|--:|--:|--:|",
    ]
    for result in [*singles, *results]:
        members = [name.removesuffix(".fer2013") for name in result["model"].split(",")]
        sha256 = result["provenance"]["weights_sha256"]
        if sha256 not in (shas.get(members[0]), [shas.get(member) for member in members]):
            sys.exit(f"the record of {result['model']} is of other weights: evaluate it again")
        lines.append(
            f"| {', '.join(f'`{member}`' for member in members)} | {percent(result['metrics'])} "
            f"| {spread(result['intervals']['accuracy'])} | {percent(result['metrics_flip'])} "
            f"| {percent(result.get('metrics_views'))} | {result['metrics']['ece']:.3f} |"
        )
    return "\n".join(lines)


def adam_table() -> str:
    """Returns what each choice does to a transformer under Adam, by examples/why_adam_failed.py."""
    records = json.loads((RESULTS / "why_adam_failed.json").read_text())
    kinds = {(r["hardware"], r["steps"], r["lr"], r["seed"]) for r in records}
    if len(kinds) != 1:
        sys.exit("docs/results/why_adam_failed.json mixes machines or settings: run it again")
    hardware, steps, lr, seed = kinds.pop()
    lines = [
        f"{steps} steps of 32 faces, Adam, lr {lr:g}, seed {seed}, {hardware}.",
        "",
        "| choices | loss, mean of the last 20 steps | PublicTest % |",
        "|---|--:|--:|",
    ]
    for record in records:
        loss = sum(record["losses"][-20:]) / 20
        lines.append(f"| {record['name']} | {loss:.3f} | {percent(record)} |")
    return "\n".join(lines)


def report_table() -> str:
    """Returns the report's rows beside what examples/report_rows.py measured of them."""
    with (ROOT / "examples" / "report_rows.csv").open() as file:
        table = list(csv.DictReader(file))
    results = json.loads((RESULTS / "report_rows.json").read_text())
    lines = [
        "| row | model | augmentation | optimizer | lr | epochs | report % | last epoch % "
        "| 95 % interval | best epoch % | shipped weights % |",
        "|--:|---|---|---|--:|--:|--:|--:|---|--:|--:|",
    ]
    shipped = {row["model"] for row in rows() if row["weights"] == "fer2013"}
    for row in table:
        model, found = row["model"], results.get(row["row"])
        own = "not run | | "
        if found:
            last = (
                ("", "") if "accuracy" not in found else (percent(found), spread(found["interval"]))
            )
            own = f"{last[0]} | {last[1]} "
            own += f"| {100 * found['best_accuracy']:.2f} ({found['best_epoch']}) "
        weights = percent(result_of(f"{model}.fer2013")["metrics"]) if model in shipped else "-"
        optimizer = {"adam": "Adam", "momentum": "SGD 0.9"}[row["optimizer"]]
        lines.append(
            f"| {row['row']} | `{model}` | {row['augmentation']} | {optimizer} | {row['lr']} "
            f"| {row['epochs']} | {row['accuracy']} | {own}| {weights} |"
        )
    return "\n".join(lines)


def ablations_tables() -> str:
    """Returns what modules do, by examples/ablations.py: each variant over its seeds."""
    studies = json.loads((RESULTS / "ablations.json").read_text())
    lines = []
    for study, variants in studies.items():
        usual = next(iter(variants.values()))
        epochs = {run["epochs"] for runs in variants.values() for run in runs.values()}
        lines += [
            *([""] if lines else []),
            f"**{study}**, {', '.join(map(str, sorted(epochs)))} epochs",
            "",
            "| variant | accuracy % of each seed | mean | standard deviation | loss |",
            "|---|---|--:|--:|--:|",
        ]
        for name, runs in variants.items():
            figures = [100 * run["accuracy"] for run in runs.values()]
            shared = [seed for seed in runs if seed in usual]
            losses = [100 * (usual[s]["accuracy"] - runs[s]["accuracy"]) for s in shared]
            deviation = f"{statistics.stdev(figures):.2f}" if len(figures) > 1 else ""
            less = "" if runs is usual or not losses else f"{statistics.mean(losses):.2f}"
            each = ", ".join(f"{figure:.2f}" for figure in figures)
            lines.append(
                f"| {name} | {each} | {statistics.mean(figures):.2f} | {deviation} | {less} |"
            )
    return "\n".join(lines)


def attention_table() -> str:
    """Returns what DACL's self-attention does in trained models, by examples/ablations.py."""
    studies = json.loads((RESULTS / "ablations.json").read_text())
    lines = [
        "| seed | relative entropy | accuracy % | with uniform attention % | without attention % |",
        "|--:|--:|--:|--:|--:|",
    ]
    for seed, run in studies["attention"]["relative"].items():
        cells = " | ".join(percent(run, key) for key in ("accuracy", "uniform", "removed"))
        lines.append(f"| {seed} | {run['entropy']:.3f} | {cells} |")
    return "\n".join(lines)


def corruptions_table() -> str:
    """Returns the accuracy of each weights on corrupted faces."""
    lines = []
    for path in sorted(RESULTS.glob("*-corruptions.json")):
        name = path.stem.removesuffix("-corruptions")
        result, model = result_of(name, "-corruptions"), name.split(".")[0]
        command = short_command(result["provenance"]["command"]).split(" --out ")[0]
        if result["protocol"] != PROTOCOL:
            sys.exit(f"{path.name} is of {result['protocol']}: evaluate {name} again")
        lines += [
            *([""] if lines else []),
            f"`{model}` (`{name}`), {result['data']}, {result['protocol']}, seed {result['seed']}; "
            f"`{command}`",
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
    result, record = result_of(name), record_of(name)
    training, m, made = record.training, result["metrics"], result["provenance"]
    ferplus = same_labels(result["label_names"], FERPLUS_LABELS)
    which = "the faces on which more than half of the FER+ votes agree" if ferplus else "all faces"
    lines = [
        "---",
        card_data(
            name,
            "apache-2.0",
            {"val": m, "val_flip": result["metrics_flip"]},
            "ferplus" if ferplus else "fer2013",
        ).to_yaml(),
        "---",
        f"# {name}",
        "",
        "```python",
        "import fer_zoo",
        "",
        f'predictor = fer_zoo.Predictor("{name.removesuffix(".fer2013")}")',
        'print(predictor("face.png").label)',
        "```",
        "",
        f"File `{record.file.name}`, sha256 `{record.sha256}`.",
        "",
        "## Figures",
        "",
        f"FER-2013 PublicTest, {which} ({m['n']:,}), computed in float32 by",
        f"`{short_command(made['command'])}` on {made['hardware']}.",
        "**PublicTest also chose the best epoch, so its figures are a little high.** PrivateTest",
        "was not used. One seed. 95 % intervals are from 2,000 bootstrap samples of groups",
        "of identical faces; they include neither the choice of the epoch nor other seeds.",
        "",
        "| | one view | 95 % interval | with the mirror image | 20 views |",
        "|---|--:|---|--:|--:|",
        *(
            f"| {text} | {percent(m, key)} | "
            f"{spread(result['intervals'][key]) if key in result['intervals'] else ''} | "
            f"{percent(result['metrics_flip'], key)} "
            f"| {percent(result.get('metrics_views'), key)} |"
            for key, text in {
                "accuracy": "accuracy %",
                "balanced_accuracy": "balanced accuracy %",
                "f1_macro": "F1 macro %",
                "f1_weighted": "F1 weighted %",
            }.items()
        ),
        *(
            f"| {text} | {m[key]:.4f} | | {result['metrics_flip'][key]:.4f} "
            f"| {number(result.get('metrics_views'), key)} |"
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
        f"![confusion matrix of {name}](../results/{name}-confusion.png)",
        "",
        *curves_lines(name),
        "## Training",
        "",
        f"{begun(record.recipe)} on {training['training_faces']:,} Training faces of FER-2013",
        "(without those that are blank or identical to a face of a later part), with",
        f"{learnt(record.recipe)}.",
        "",
        *run_lines(record),
        "## Limits",
        "",
        f"{FER2013_LIMITS};",
        "see [responsible use](../responsible_use.md).",
        "",
        FER2013_TERMS,
        "",
    ]
    return "\n".join(lines)


def curves_lines(name: str) -> list[str]:
    """Shows the loss and accuracy of the run, where it left a picture of them."""
    if not (RESULTS / f"{name}-curves.png").is_file():
        return []
    return [f"![loss and accuracy of each epoch](../results/{name}-curves.png)", ""]


def evidence_lines(record: WeightsRecord, result: dict[str, Any]) -> list[str]:
    """Describes the further figures: calibration, leak-free part, FER+."""
    calibrated, part, people = (result[key] for key in ("calibrated", "leak_free", "ferplus"))
    lines = [
        f"- `Predictor` divides logits by the temperature {record.temperature}, fitted on all",
        "  of PublicTest; the figures above are without it. With a temperature fitted on the other",
        f"  folds (5-fold, over groups of identical faces): log-loss {calibrated['log_loss']:.4f},",
        f"  Brier {calibrated['brier']:.4f}, ECE {calibrated['ece']:.4f}.",
    ]
    if record.temperature == 1:
        lines = [
            "- `Predictor` uses the probabilities as they are: a temperature fitted on other folds",
            "  (5-fold, over groups of identical faces) does not lower their ECE.",
        ]
    if part:
        lines += [
            "- Accuracy without the faces that are in several splits:",
            f"  {percent(part['metrics'])} % ({spread(part['intervals']['accuracy'])}) on",
            f"  {part['metrics']['n']:,} faces.",
        ]
    if people:
        lines += [
            f"- FER+: accuracy {percent(people)} % against the majority of its ten votes",
            f"  ({people['n_majority']:,} faces with a majority for one of these classes); KL",
            f"  divergence from the votes {people['kl']:.4f} nats ({people['n']:,} faces).",
        ]
    return lines


def run_lines(run: WeightsRecord) -> list[str]:
    """Describes the run that made weights, from their record."""
    training, recipe = run.training, run.recipe
    versions = ", ".join(f"{k} {v}" for k, v in training["versions"].items())
    kind = "bfloat16" if training["bfloat16"] else "float32"
    later = []
    if n := training.get("norm_faces_afterwards"):
        later += [
            f"The batch norm statistics were estimated after the run, on {n} training faces",
            "without augmentation; the epoch was chosen before. In training, `batch_norm_faces`",
            "does this.",
        ]
    if share := training.get("keep_start_afterwards"):
        later += [
            "The weights were interpolated after the run with the initial weights, which have a",
            f"share of {share}; the epoch was chosen before. In training, `pretrained_share` does",
            "this.",
        ]
    return [
        f"Best epoch {training['epochs']} of {recipe['epochs']}, after "
        f"{training['hours']:.2f} hours on {training['hardware']}, {kind}, seed {recipe['seed']},",
        f"{versions}. Accuracy on PublicTest: {percent(run.metrics['val'])} %.",
        *later,
        f"Command: `{train_command(run)}`",
        "",
        "```toml",
        *(f"{key} = {json.dumps(v)}" for key, v in recipe.items() if v not in ("", {})),
        "```",
        "",
    ]


def train_command(run: WeightsRecord) -> str:
    """Returns the command that trained weights: with the package's recipe if it made them."""
    name = name_of(run)
    if is_recipe_of(run):
        return f"fer-zoo train {name} --data fer2013.csv --out runs/{recipe_of(name)}"
    return short_command(run.training["command"])


def model_table() -> str:
    """Returns the table of ``fer-zoo list`` and ``fer-zoo info``, a model a line."""
    lines = []
    for name in sorted([*list_models(), *list_models(pretrained=True)]):
        facts = describe(name)
        record = Path(facts.pop("weights").get("file", "")).stem
        entry = {"record": record or None, **{k: v for k, v in facts.items() if k != "model"}}
        lines.append(f"{json.dumps(name)}: {json.dumps(entry, separators=(',', ':'))}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def name_of(run: WeightsRecord) -> str:
    """Returns the name of weights, such as ``dacl``, or ``vgg.ferplus``."""
    return f"{run.architecture.removeprefix('fer_')}.{run.tag}".removesuffix(".fer2013")


def is_recipe_of(run: WeightsRecord) -> bool:
    """Says whether the package's recipe of this name has the settings that made weights.

    The precision may differ, which recipes leave to the machine, and settings may have been added.
    """
    recipe = recipe_of(name_of(run))
    try:
        made_by = load_config(**run.recipe | {"precision": "auto"})
    except ConfigError:  # a setting that is no more
        return False
    return recipe is not None and load_config(recipe, precision="auto") == made_by


def measured(name: str) -> str:
    """Returns a recipe with the cost and the result of its run, where weights are of this run.

    Args:
        name: Architecture and tag of the weights.
    """
    path, record = RECIPES / f"{recipe_of(name)}.toml", record_of(name)
    text = re.sub(r"^# Measured:.*\n", "", path.read_text(), flags=re.MULTILINE)
    if not is_recipe_of(record):
        return text
    title, settings = text.split("\n", 1)
    training, accuracy = record.training, percent(result_of(name)["metrics"])
    kept = f"epoch {training['epochs']} of {record.recipe['epochs']}"
    line = (
        f"# Measured: {accuracy} % on PublicTest with {kept}, after {training['hours']:.2f} h on "
        f"{training['hardware']}."
    )
    return f"{title}\n{line}\n{settings}"


BLOCKS: dict[str, Callable[[], str]] = {
    "models": lambda: models_table("docs/model_cards", twins=False),
    "all models": lambda: models_table("model_cards", twins=True),
    "bench": bench_table,
    "engines": engines_table,
    "adam": adam_table,
    "report": report_table,
    "ablations": ablations_tables,
    "attention": attention_table,
    "corruptions": corruptions_table,
    "ensembles": ensembles_table,
    "heat maps": lambda: heat_maps_text(RESULTS / "heat_maps.json", shipped_weights()),
    "crops": lambda: crops_text(RESULTS / "crops.json"),
    "video": lambda: video_text(RESULTS / "video.json"),
}
PAGES = (
    "README.md",
    *(
        f"docs/{page}.md"
        for page in ("ablations", "explain", "export", "models", "prediction", "results")
    ),
    *(f"docs/{page}.md" for page in ("robustness", "training", "video")),
)


def filled(page: str) -> str:
    """Returns a page with its generated blocks made anew."""
    text = (ROOT / page).read_text()

    def block(match: re.Match[str]) -> str:
        return f"{match[1]}\n{BLOCKS[match[2]]()}\n{match[3]}"

    pattern = r"(<!-- generated: (.*?) -->).*?(<!-- end -->)"
    return re.sub(pattern, block, text, flags=re.DOTALL)


def shipped_weights() -> dict[str, str]:
    """Returns the sha256 of the weights in the package by name."""
    names = [f"{row['model']}.{row['weights']}" for row in rows() if row["weights"]]
    return {name: record_of(name).sha256 for name in names}


def all_pictures() -> dict[Path, pictures.Picture]:
    """Returns the PNG files of docs, each with what it is drawn from."""
    shipped = [(row, f"{row['model']}.{row['weights']}") for row in rows() if row["weights"]]
    weights = shipped_weights()
    costs = [
        {
            "model": row["model"],
            "weights": row["weights"],
            "macs": row["macs"],
            "accuracy": result_of(name)["metrics"]["accuracy"],
            "interval": result_of(name)["intervals"]["accuracy"],
        }
        for row, name in shipped
    ]
    drawn = pictures.PICTURES
    found = {
        drawn / "portrait.png": pictures.portrait(weights),
        drawn / "accuracy.png": pictures.accuracy(costs),
        drawn / "heat_maps.png": pictures.heat_maps(weights),
        RESULTS / "why_adam_failed.png": pictures.adam(),
    }
    for _, name in shipped:
        found[RESULTS / f"{name}-confusion.png"] = pictures.confusion(result_of(name))
    for path in RESULTS.glob("*-corruptions.json"):
        result = result_of(path.stem.removesuffix("-corruptions"), "-corruptions")
        found[path.with_suffix(".png")] = pictures.corruptions(result)
    return found


def main() -> int:
    """Writes or checks everything."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail on differences")
    args = parser.parse_args()
    wanted = {ROOT / page: filled(page) for page in PAGES}
    wanted[ROOT / "fer_zoo" / TABLE_PATH.name] = model_table()
    for row in rows():
        if row["weights"]:
            name = f"{row['model']}.{row['weights']}"
            wanted[ROOT / "docs" / "model_cards" / f"{name}.md"] = model_card(name)
            wanted[RECIPES / f"{recipe_of(name)}.toml"] = measured(name)
    wanted |= {pictures.PICTURES / name: draw() for name, draw in DIAGRAMS.items()}
    stale = [p for p, text in wanted.items() if not p.is_file() or p.read_text() != text]
    drawn = all_pictures()
    stale += [path for path, picture in drawn.items() if not picture.is_current(path)]
    for path in stale:
        if not args.check and path in drawn:
            drawn[path].write(path)
        elif not args.check:
            path.write_text(wanted[path])
        print(f"{path.relative_to(ROOT)}{': out of date' if args.check else ' written'}")
    return 1 if args.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
