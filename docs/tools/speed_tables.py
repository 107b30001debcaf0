"""The speed of models and engines, from ``docs/results/bench.jsonl`` and ``engines.jsonl``.

They are written by ``fer-zoo bench --json`` and ``fer-zoo bench --engines --json``.
"""

import json
import sys

from result_records import RESULTS


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
