"""Trains a model on FER-2013 from Python, then evaluates and uses what it wrote.

The settings are those of the model's recipe; keyword arguments of ``fer_zoo.train`` override them.

    python examples/train.py DATA runs/dacl --model dacl --epochs 40
"""

import argparse
from collections.abc import Sequence

import fer_zoo


def main(argv: Sequence[str] | None = None) -> None:
    """Trains, evaluates, predicts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", help="FER-2013: fer2013.csv, emotion folders, a zip or an npz")
    parser.add_argument("out", help="folder of the run")
    parser.add_argument("--model", default="dacl", help="model name (dacl)")
    parser.add_argument("--epochs", type=int, help="by default the recipe's")
    parser.add_argument("--batch-size", type=int, help="by default the recipe's")
    parser.add_argument("--resume", action="store_true", help="continue an interrupted run")
    args = parser.parse_args(argv)

    run = fer_zoo.train(
        args.model,
        args.data,
        args.out,
        resume=args.resume,
        progress=True,
        epochs=args.epochs,
        batch_size=args.batch_size,
    )
    print(f"best epoch: {run.best_epoch + 1}")

    # functions that take the name of a model take the folder too
    print(fer_zoo.evaluate(run.folder, args.data, "val", flip=True).table())
    faces = fer_zoo.FER2013(args.data, "val")
    face, target = faces[0]
    prediction = fer_zoo.Predictor(run.folder)(face)
    print(f"first face of val: {faces.label_names[target]}, predicted {prediction.label}")


if __name__ == "__main__":
    main()
