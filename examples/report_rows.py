"""Trains the 17 rows of the report's table, and measures each on PublicTest.

A row has the report's optimizer, learning rate, epochs and augmentation (``report_rows.toml`` and
``report_rows.csv`` beside this file), and the model of this zoo. Training leaves out the faces that
are in a later split. The last epoch is measured. The same command continues after an interruption
and skips finished rows; results are added to RESULTS as rows finish.

    python examples/report_rows.py DATA runs/report --rows 6 7 --results report_rows.json
    python examples/report_rows.py DATA runs/report224 --size 224 --jobs 4
"""

import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fer_zoo
from fer_zoo.atomic import write_text
from fer_zoo.models.weights import record_of
from fer_zoo.training import Sweep, TrainConfig, TrainResult, load_config

HERE = Path(__file__).parent
STILL = {"rotation": 0.0, "shift": 0.0, "flip": 0.0}


def read_rows() -> dict[int, dict[str, str]]:
    """Returns the rows of the report's table by their number."""
    with (HERE / "report_rows.csv").open() as file:
        return {int(row["row"]): row for row in csv.DictReader(file)}


def config_of(row: dict[str, str], size: int, **changes: Any) -> TrainConfig:
    """Returns the settings of a row.

    Args:
        row: The row of the table.
        size: 48, or 224 for the models with the report's geometry.
        **changes: Settings that differ from the report's.
    """
    still = STILL if row["augmentation"] == "no" else {}
    return load_config(
        HERE / "report_rows.toml",
        model=row["model"] if size == 48 else f"{row['model']}_224",
        optimizer=row["optimizer"],
        lr=float(row["lr"]),
        **{"epochs": int(row["epochs"]), **still, **changes},
    )


def result_of(run: TrainResult, data: str) -> dict[str, Any]:
    """Returns what is put on record of a finished row."""
    evaluation = fer_zoo.evaluate(run.folder, data, "val")
    record = record_of(fer_zoo.create_model(run.folder, pretrained=True))
    training = record.training if record else {}
    return {
        "accuracy": evaluation.metrics["accuracy"],
        "interval": evaluation.intervals["accuracy"],
        "best_accuracy": run.accuracy,
        "best_epoch": run.best_epoch + 1,
        **{key: training[key] for key in ("epochs", "hours", "hardware", "bfloat16", "versions")},
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Trains, evaluates and records."""
    rows = read_rows()
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", help="FER-2013: fer2013.csv, emotion folders, a zip or an npz")
    parser.add_argument("out", type=Path, help="folder of the runs")
    parser.add_argument("--rows", nargs="+", type=int, choices=rows, default=list(rows))
    parser.add_argument("--size", type=int, choices=(48, 224), default=48, help="pixels (48)")
    parser.add_argument("--epochs", type=int, help="by default the row's")
    parser.add_argument("--batch-size", type=int, help="by default the report's, 32")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once on this machine (1)")
    parser.add_argument(
        "--time-limit", type=float, metavar="MIN", help="minutes for all runs together"
    )
    parser.add_argument("--results", type=Path, help="json; by default OUT/report_rows.json")
    args = parser.parse_args(argv)

    results = args.results or args.out / "report_rows.json"
    found = json.loads(results.read_text()) if results.exists() else {}
    given = {"epochs": args.epochs, "batch_size": args.batch_size}
    changes = {name: value for name, value in given.items() if value is not None}
    runs = {f"row{number}": config_of(rows[number], args.size, **changes) for number in args.rows}
    for run in Sweep(runs, args.data, args.out).run(args.jobs, args.time_limit):
        if not run.finished:
            print(f"{run.folder.name}: the time is up; the same command continues", flush=True)
            continue
        number = run.folder.name.removeprefix("row")
        found[number] = {"size": args.size, **result_of(run, args.data)}
        write_text(
            results, json.dumps(dict(sorted(found.items(), key=lambda i: int(i[0]))), indent=1)
        )
        low, high = found[number]["interval"]
        print(
            f"row {number}: {100 * found[number]['accuracy']:.2f} % "
            f"({100 * low:.1f}-{100 * high:.1f}) on PublicTest; the report "
            f"{rows[int(number)]['accuracy']} %",
            flush=True,
        )


if __name__ == "__main__":
    main()
