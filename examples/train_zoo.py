"""Trains every model that has a recipe, one after the other.

Each run is a folder named like its recipe. Stopped at any moment, the same command goes on where it
was, and skips what is finished. Recipes called NAME_first come before all others, and NAME_second
next: each cycle goes on from the one before it, and the transformers and DACL take their stem from
resnet18_first's; vgg_ferplus goes on from vgg. Where such a run is not there, with --only, they
start from the weights in the package.

    python examples/train_zoo.py DATA runs --time-limit 120
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import fer_zoo
from fer_zoo.training import list_recipes, load_config

CYCLES = ("_first", "_second")  # what recipes before the last of a model end with


def cycle(recipe: str) -> int:
    """Returns how many cycles come before a recipe's."""
    return next((i for i, end in enumerate(CYCLES) if recipe.endswith(end)), len(CYCLES))


def starts(recipe: str, out: Path) -> dict[str, str]:
    """Returns the settings that let a recipe go on from runs that lie beside its own."""
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
    """Trains, and says what each model reached."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", help="FER-2013: fer2013.csv, emotion folders, a zip or an npz")
    parser.add_argument("out", type=Path, help="folder of the runs")
    parser.add_argument("--only", nargs="+", choices=list_recipes(), help="these recipes")
    parser.add_argument("--epochs", type=int, help="by default the recipe's")
    parser.add_argument("--batch-size", type=int, help="by default the recipe's")
    parser.add_argument("--time-limit", type=float, metavar="MIN", help="minutes for all of it")
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
