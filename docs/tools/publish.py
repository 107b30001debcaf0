"""Ships the best weights of a run with the package, and records what they measure.

Embeds the run as float16, evaluates the embedded file on PublicTest, takes the temperature from
there, puts the figures on record, and renews golden outputs, tables and model cards.

    python docs/tools/publish.py runs/dacl dacl.fer2013 --data fer2013.csv

A run that was trained without ``norm_faces`` or ``keep_start`` gets with ``--norm-faces 8192`` or
``--keep-start 0.5`` what the setting would have given its best epoch; instead of a run, the name of
shipped weights can be given.
"""

import argparse
import dataclasses
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import generate
import torch

from fer_zoo.cli import main as fer_zoo_command
from fer_zoo.data import FaceDataset
from fer_zoo.errors import FerZooError
from fer_zoo.hub import embed_weights, save_pretrained
from fer_zoo.models import create_model
from fer_zoo.models.weights import record_of
from fer_zoo.preprocessing import preprocessing_of
from fer_zoo.training import load_config, loop, open_data
from fer_zoo.training.distributed import World
from fer_zoo.training.initial_weights import starting_model, weights_to_keep
from fer_zoo.training.loader import Batches

PICTURES = ("confusion.png", "reliability.png", "roc.png")


def publish(run: Path, name: str, data: str) -> None:
    """Embeds, evaluates and records weights.

    Args:
        run: A folder that training wrote.
        name: Architecture and tag, such as ``"dacl.fer2013"``.
        data: FER-2013, in any layout.
    """
    embed_weights(run, name, {})
    with tempfile.TemporaryDirectory() as out:
        argv = ["evaluate", name, "--data", data, "--split", "val", "--flip", "--out", out]
        sys.argv = ["fer-zoo", *argv[:-2]]  # the command that goes on record
        if fer_zoo_command([*argv, "--plots"]):
            sys.exit(f"{name} is embedded but could not be evaluated")
        generate.RESULTS.mkdir(exist_ok=True)
        shutil.copy(Path(out) / "metrics.json", generate.RESULTS / f"{name}.json")
        for picture in PICTURES:
            shutil.copy(Path(out) / picture, generate.RESULTS / f"{name}-{picture}")
    if (run / "curves.png").is_file():
        shutil.copy(run / "curves.png", generate.RESULTS / f"{name}-curves.png")
    result = generate.result_of(name)
    metrics = {"val": result["metrics"], "val_flip": result["metrics_flip"]}
    embed_weights(run, name, metrics, round(result["calibrated"]["temperature"], 4))
    subprocess.run([sys.executable, "-m", "tests.golden", name], cwd=generate.ROOT, check=True)
    sys.argv = ["generate.py"]
    generate.main()


def settle(
    run: str,
    data: str | tuple[FaceDataset, FaceDataset],
    out: Path,
    norm_faces: int = 0,
    keep_start: float = 0.0,
) -> None:
    """Writes a run anew, as these settings would have made its best epoch.

    Args:
        run: A folder that training wrote, or the name of weights.
        data: FER-2013, in any layout, or its training and validation faces.
        out: The folder to write.
        norm_faces: How many plain training faces batch norms take their statistics from, as in the
            recipe; 0 for as many as the run itself took.
        keep_start: The share kept of the weights that the run started from, as in the recipe.
    """
    model: Any = create_model(run, pretrained=True).eval()
    known = record_of(model)
    if known is None or not known.recipe:
        sys.exit(f"{run} has no recipe on record: give a folder that training wrote")
    later = {"norm_faces": norm_faces, "keep_start": keep_start}
    later = {name: value for name, value in later.items() if value}
    config = load_config(**{**known.recipe, **later})
    start = {}
    if keep_start:
        start = weights_to_keep(
            config, starting_model(config, model.label_names), model.label_names
        )
    train_set, here = open_data(data, config)[0], World(0, 1, torch.device("cpu"))
    batches = Batches(train_set, config, here, preprocessing_of(model))
    loop.settle(model, config, start, batches)
    training = {**known.training, **{f"{name}_afterwards": v for name, v in later.items()}}
    save_pretrained(model, out, {"recipe": dataclasses.asdict(config), "training": training})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", help="folder that training wrote")
    parser.add_argument("name", help="architecture and tag, such as dacl.fer2013")
    parser.add_argument("--data", required=True, help="FER-2013, in any layout")
    parser.add_argument("--norm-faces", type=int, default=0, help="as in recipes, for older runs")
    parser.add_argument("--keep-start", type=float, default=0.0, help="likewise")
    args = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as settled:
            later = {"norm_faces": args.norm_faces, "keep_start": args.keep_start}
            if any(later.values()):
                settle(args.run, args.data, Path(settled), **later)
            publish(Path(settled if any(later.values()) else args.run), args.name, args.data)
    except FerZooError as error:
        sys.exit(f"publish: {error}")
