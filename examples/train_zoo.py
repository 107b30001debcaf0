"""Trains every model of the zoo, each by its recipe, from random weights.

It prints a plan first: epochs, faces, and the minutes that they take on this machine. Each run is a
folder with the name of its recipe. The same command continues after an interruption and skips
finished runs. A recipe whose teacher is another recipe waits for its weights.

    python examples/train_zoo.py DATA runs                           # on a CPU
    python examples/train_zoo.py DATA runs --jobs 4 --time-limit 12  # on one GPU
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from fer_zoo.benchmark import benchmark
from fer_zoo.data import open_data
from fer_zoo.training import Sweep, TrainConfig, list_recipes, load_config
from fer_zoo.training.recipes import FINE_TUNE


def print_plan(runs: dict[str, TrainConfig], faces: int, jobs: int) -> None:
    """Prints what each run costs, from a few steps of each."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(f"{'run':<20}{'epochs':>7}{'faces':>9}{'images/s':>10}{'minutes':>9}")
    total = 0.0
    for name, config in runs.items():
        rate = benchmark(config, steps=2, device=device).train_images_per_second
        minutes = config.epochs * faces / rate / 60
        total += minutes
        print(f"{name:<20}{config.epochs:>7}{faces:>9,}{rate:>10.0f}{minutes:>9.1f}", flush=True)
    print(
        f"{total:.0f} minutes one after the other, without validation; {jobs} at once", flush=True
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Plans, trains, and prints the accuracy of each model."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", help="FER-2013: fer2013.csv, emotion folders, a zip or an npz")
    parser.add_argument("out", type=Path, help="folder of the runs")
    zoo = [name for name in list_recipes() if name != FINE_TUNE]
    parser.add_argument("--only", nargs="+", choices=zoo, default=zoo, help="these recipes")
    parser.add_argument("--epochs", type=int, help="by default the recipe's")
    parser.add_argument("--batch-size", type=int, help="by default the recipe's")
    parser.add_argument("--seed", type=int, help="by default the recipe's")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once on this machine (1)")
    parser.add_argument(
        "--time-limit", type=float, metavar="MIN", help="minutes for all runs together"
    )
    plan = parser.add_mutually_exclusive_group()
    plan.add_argument("--plan", action="store_true", help="print the plan and train nothing")
    plan.add_argument("--no-plan", action="store_true", help="do not measure first")
    args = parser.parse_args(argv)

    given = {name: getattr(args, name) for name in ("epochs", "batch_size", "seed")}
    changes = {name: value for name, value in given.items() if value is not None}
    runs = {name: replace(load_config(name), **changes) for name in args.only}
    sweep = Sweep(runs, args.data, args.out)
    if not args.no_plan:
        print_plan(runs, len(open_data(args.data, ("train",))["train"]), args.jobs)
    if args.plan:
        return
    for run in sweep.run(args.jobs, args.time_limit):
        if run.finished:
            best = f"best epoch {run.best_epoch + 1}: {100 * run.accuracy:.2f} %"
            state = f"{100 * run.last_accuracy:.2f} % on val; {best}"
        else:
            state = "the time is up; the same command continues"
        print(f"{run.folder.name}: {state}", flush=True)


if __name__ == "__main__":
    main()
