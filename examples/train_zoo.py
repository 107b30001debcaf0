"""Trains every model that has a recipe, one after the other.

Each run is a folder named like its recipe. Stopped at any moment, the same command goes on where it
was, and skips what is finished. Recipes called NAME_first come before all others: NAME goes on from
their weights, and the transformers and DACL take their stem from resnet18_first's; vgg_ferplus goes
on from vgg. Where such a run is not there, with --only, they start from the weights in the package.

    python examples/train_zoo.py DATA runs --time-limit 120
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import fer_zoo
from fer_zoo.training import list_recipes, load_config


def starts(recipe: str, out: Path) -> dict[str, str]:
    """Returns the settings that let a recipe go on from runs that lie beside its own."""
    config = load_config(recipe)
    other = config.pretrained != recipe  # a finished model, not this one's first cycle
    runs = {
        "pretrained": out / (config.pretrained if other else f"{recipe}_first"),
        "pretrained_stem": out / f"{config.pretrained_stem}_first",
    }
    there = {key for key, run in runs.items() if (run / "model.safetensors").is_file()}
    return {key: str(runs[key]) for key in there if getattr(config, key)}


def main(argv: Sequence[str] | None = None) -> None:
    """Trains, and says what each model reached."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", help="FER-2013: fer2013.csv, emotion folders, a zip or an npz")
    parser.add_argument("out", type=Path, help="folder of the runs")
    parser.add_argument("--only", nargs="+", choices=list_recipes(), help="these recipes")
    parser.add_argument("--epochs", type=int, help="by default the recipe's")
    parser.add_argument("--batch-size", type=int, help="by default the recipe's")
    parser.add_argument("--time-limit", type=float, metavar="MIN", help="minutes for all of it")
    args = parser.parse_args(argv)

    recipes = sorted(args.only or list_recipes(), key=lambda name: not name.endswith("_first"))
    deadline = None if args.time_limit is None else time.monotonic() + 60 * args.time_limit
    for recipe in recipes:
        folder = args.out / recipe
        run = fer_zoo.train(
            data=args.data,
            out=folder,
            recipe=recipe,
            resume=(folder / "last.pt").exists(),
            time_limit=None if deadline is None else (deadline - time.monotonic()) / 60,
            progress=True,
            epochs=args.epochs,
            batch_size=args.batch_size,
            **starts(recipe, args.out),
        )
        if not run.finished:
            print(f"{recipe}: the time is up; run the same command again to go on")
            return
        print(f"{recipe}: {100 * run.accuracy:.2f} % on val, which also chose the epoch")


if __name__ == "__main__":
    main()
