"""Trains every model that has a recipe, one after the other.

Each run is a folder with the name of its recipe. The same command continues after an interruption
and skips finished runs. Recipes called NAME_first are trained first, then NAME_second, then the
others: the weights of each cycle are the initial weights of the next. The transformers and DACL
take their stem from resnet18_first, and vgg_ferplus starts from vgg. With --only, where such a run
is missing, the initial weights are those in the package.

    python examples/train_zoo.py DATA runs --time-limit 120
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import fer_zoo
from fer_zoo.training import list_recipes, load_config

CYCLES = ("_first", "_second")  # suffixes of the recipes before the last one of a model


def cycle(recipe: str) -> int:
    """Returns the number of cycles before a recipe's."""
    return next((i for i, end in enumerate(CYCLES) if recipe.endswith(end)), len(CYCLES))


def initial_weights(recipe: str, out: Path) -> dict[str, str]:
    """Returns the settings that take a recipe's initial weights from the runs beside its own."""
    config = load_config(recipe)
    earlier = [f"{config.pretrained}{end}" for end in reversed(CYCLES[: cycle(recipe)])]
    own = config.pretrained == config.model  # not the finished weights of another recipe
    runs = {
        "pretrained": earlier if own else [config.pretrained],
        "pretrained_stem": [f"{config.pretrained_stem}_first"],
    }
    there = {
        key: [out / name for name in names if (out / name / "model.safetensors").is_file()]
        for key, names in runs.items()
        if getattr(config, key)
    }
    return {key: str(found[0]) for key, found in there.items() if found}


def main(argv: Sequence[str] | None = None) -> None:
    """Trains, and prints the accuracy of each model."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", help="FER-2013: fer2013.csv, emotion folders, a zip or an npz")
    parser.add_argument("out", type=Path, help="folder of the runs")
    parser.add_argument("--only", nargs="+", choices=list_recipes(), help="these recipes")
    parser.add_argument("--epochs", type=int, help="by default the recipe's")
    parser.add_argument("--batch-size", type=int, help="by default the recipe's")
    parser.add_argument(
        "--time-limit", type=float, metavar="MIN", help="minutes for all runs together"
    )
    args = parser.parse_args(argv)

    recipes = sorted(args.only or list_recipes(), key=cycle)
    deadline = None if args.time_limit is None else time.monotonic() + 60 * args.time_limit
    for recipe in recipes:
        folder = args.out / recipe
        run = fer_zoo.train(
            data=args.data,
            out=folder,
            recipe=recipe,
            resume=(folder / "last.pt").exists(),
            time_limit=None if deadline is None else max(0, deadline - time.monotonic()) / 60,
            progress=True,
            epochs=args.epochs,
            batch_size=args.batch_size,
            **initial_weights(recipe, args.out),
        )
        if not run.finished:
            print(f"{recipe}: the time is up; run the same command again to continue")
            return
        print(f"{recipe}: {100 * run.accuracy:.2f} % on val, which chose the epoch")


if __name__ == "__main__":
    main()
