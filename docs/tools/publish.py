"""Ships the best weights of a run with the package, and records their figures.

It embeds the run as float16, evaluates the embedded file on PublicTest, takes the temperature from
there, records the figures, and renews golden outputs, tables and model cards.

    python docs/tools/publish.py runs/dacl dacl.fer2013 --data fer2013.csv

For a run that was trained without ``batch_norm_faces`` or ``pretrained_share``, the options
``--batch-norm-faces 8192`` and ``--pretrained-share 0.5`` change the weights as the setting would
have changed its best epoch. The name of shipped weights stands for a run too.
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
from fer_zoo.training import load_config
from fer_zoo.training.distributed import World
from fer_zoo.training.initial_weights import create_initial_model, pretrained_weights
from fer_zoo.training.loader import TrainLoader
from fer_zoo.training.run import open_training_data
from fer_zoo.training.validation import published_model

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
        shutil.copy(Path(out) / "confusion.png", generate.RESULTS / f"{name}-confusion.png")
    result = generate.result_of(name)
    metrics = {"val": result["metrics"], "val_flip": result["metrics_flip"]}
    embed_weights(run, name, metrics, round(result["calibrated"]["temperature"], 4))
    subprocess.run([sys.executable, "-m", "tests.golden", name], cwd=generate.ROOT, check=True)
    sys.argv = ["generate.py"]
    generate.main()


def revise(
    run: str,
    data: str | tuple[FaceDataset, FaceDataset],
    out: Path,
    batch_norm_faces: int = 0,
    pretrained_share: float = 0.0,
) -> None:
    """Writes a run anew, as these settings would have published its best epoch.

    Args:
        run: A folder that training wrote, or the name of weights.
        data: FER-2013, in any layout, or its training and validation faces.
        out: The folder to write.
        batch_norm_faces: As in the recipe; 0 for the number that the run itself used.
        pretrained_share: As in the recipe; 0 for no interpolation.
    """
    model: Any = create_model(run, pretrained=True).eval()
    known = record_of(model)
    if known is None or not known.recipe:
        sys.exit(f"{run} has no recipe on record: give a folder that training wrote")
    recipe, training, pretrained = dict(known.recipe), dict(known.training), {}
    if batch_norm_faces:
        recipe["batch_norm_faces"] = training["norm_faces_afterwards"] = batch_norm_faces
    # the run's own share is in its weights already
    config = load_config(**recipe | {"pretrained_share": pretrained_share})
    if pretrained_share:
        recipe["pretrained_share"] = training["keep_start_afterwards"] = pretrained_share
        initial = create_initial_model(config, model.label_names)
        pretrained = pretrained_weights(config, initial, model.label_names)
    train_set, here = open_training_data(data, config)[0], World(0, 1, torch.device("cpu"))
    loader = TrainLoader(train_set, config, here, preprocessing_of(model))
    revised = published_model(model, config, pretrained, loader)
    recipe = dataclasses.asdict(load_config(**recipe))
    save_pretrained(revised, out, {"recipe": recipe, "training": training})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", help="folder that training wrote")
    parser.add_argument("name", help="architecture and tag, such as dacl.fer2013")
    parser.add_argument("--data", required=True, help="FER-2013, in any layout")
    parser.add_argument("--batch-norm-faces", type=int, default=0, help="as in recipes")
    parser.add_argument("--pretrained-share", type=float, default=0.0, help="as in recipes")
    args = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            if args.batch_norm_faces or args.pretrained_share:
                revised = Path(folder), args.batch_norm_faces, args.pretrained_share
                revise(args.run, args.data, *revised)
                args.run = folder
            publish(Path(args.run), args.name, args.data)
    except FerZooError as error:
        sys.exit(f"publish: {error}")
