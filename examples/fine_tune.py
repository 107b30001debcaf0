"""Fine-tunes a pretrained model on your own faces, with your own classes.

The images are in ``FACES/train/<class>/*`` and ``FACES/val/<class>/*``: cropped faces of any size
and format. The classifier is new. The body has pretrained weights; the learning rate falls with
each layer below the classifier.

    python examples/fine_tune.py FACES runs/mine --epochs 10
"""

import argparse
from collections.abc import Sequence

import fer_zoo


def main(argv: Sequence[str] | None = None) -> None:
    """Trains the classifier and the body, or the classifier only."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("faces", help="folder with train/<class>/ and val/<class>/")
    parser.add_argument("out", help="folder of the run")
    parser.add_argument("--pretrained", default="dacl", help="initial weights (dacl)")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the faces (10)")
    parser.add_argument("--freeze", action="store_true", help="train the classifier only")
    args = parser.parse_args(argv)

    train_set = fer_zoo.FaceFolder(args.faces, "train")
    val_set = fer_zoo.FaceFolder(args.faces, "val", label_names=train_set.label_names)
    print(train_set.summary)
    run = fer_zoo.train(
        data=(train_set, val_set),
        out=args.out,
        pretrained=args.pretrained,
        epochs=args.epochs,
        batch_size=max(2, min(64, len(train_set) // 4)),
        freeze=args.freeze,
        progress=True,
    )
    print(f"accuracy on val {100 * run.accuracy:.1f} %, classes {train_set.label_names}")
    print(f"fer-zoo predict FACE.png --model {run.folder}")


if __name__ == "__main__":
    main()
