"""The tables of docs/results.md, ablations.md and robustness.md, from the records in docs/results.

| table | record | written by |
|---|---|---|
| report | ``report_rows.json`` | ``examples/report_rows.py`` |
| adam | ``why_adam_failed.json`` | ``examples/why_adam_failed.py`` |
| ensembles | ``ensemble-N.json`` | ``fer-zoo evaluate A,B --flip --out`` |
| combinations | ``combinations.json`` | ``docs/tools/measure_combinations.py`` |
| ablations, attention | ``ablations.json`` | ``examples/ablations.py`` |
| corruptions | ``WEIGHTS-corruptions.json`` | ``fer-zoo evaluate --corruptions --out`` |
| checks | ``WEIGHTS.json`` | ``fer-zoo evaluate --views 20 --out`` |
"""

import csv
import json
import statistics
import sys

from result_records import (
    RESULTS,
    ROOT,
    percent,
    record_of,
    result_of,
    rows,
    shipped_weights,
    spread,
)

from fer_zoo.evaluation.corruptions import PROTOCOL
from fer_zoo.evaluation.report import checks_text
from fer_zoo.model_card import short_command


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


def combinations_table() -> str:
    """Returns the best ensemble of each size, of all that the shipped weights can form."""
    record = json.loads((RESULTS / "combinations.json").read_text())
    if record["weights_sha256"] != shipped_weights("fer2013"):
        sys.exit("combinations.json is of other weights: run docs/tools/measure_combinations.py")
    lines = ["| size | best members | accuracy % |", "|--:|---|--:|"]
    for best in record["best"]:
        members = ", ".join(f"`{member}`" for member in best["members"])
        accuracy = 100 * best["correct"] / record["faces"]
        lines.append(f"| {len(best['members'])} | {members} | {accuracy:.2f} |")
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
            "| variant | accuracy % of each seed | mean | standard deviation | points lost |",
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
        "| model | relative entropy | accuracy % | with uniform attention % | without it % |",
        "|---|--:|--:|--:|--:|",
    ]
    runs = {}
    for name, run in json.loads((RESULTS / "attention.json").read_text()).items():
        if run["weights_sha256"] != record_of(name).sha256:
            sys.exit(f"the record of the attention of {name} is of other weights: measure it again")
        runs[f"`{name.removesuffix('.fer2013')}`"] = run
    for seed, run in studies["attention"]["relative"].items():
        runs[f"half width, seed {seed}"] = run
    for name, run in runs.items():
        cells = " | ".join(percent(run, key) for key in ("accuracy", "uniform", "removed"))
        lines.append(f"| {name} | {run['entropy']:.3f} | {cells} |")
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


def checks_example() -> str:
    """Returns what ``fer-zoo evaluate`` prints below the figures of two weights."""
    lines = []
    for name in ("dacl", "transfer"):
        result = result_of(f"{name}.fer2013")
        checks = (result[key] for key in ("metrics", "leak_free", "calibrated", "ferplus"))
        lines += [f"{name}", checks_text(*checks), ""]
    return "\n".join(["```text", *lines[:-1], "```"])
