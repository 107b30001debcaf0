"""Ships the best weights of a run with the package, and records their figures.

It embeds the run as float16, evaluates the embedded file on PublicTest, takes the temperature from
there, records the figures, and renews golden outputs, tables and model cards.

    python docs/tools/embed.py runs/dacl dacl.fer2013 --data fer2013.csv
    python docs/tools/embed.py dacl.fer2013 dacl.fer2013 --data fer2013.csv  # measures them again
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import generate

from fer_zoo.cli import main as fer_zoo_command
from fer_zoo.errors import FerZooError
from fer_zoo.hub import save_pretrained
from fer_zoo.models import create_model
from fer_zoo.package_weights import embed_weights


def unpack(name: str, folder: Path) -> None:
    """Writes shipped weights as training would leave them."""
    record = generate.record_of(name)
    known = {"recipe": record.recipe, "training": record.training, "metrics": record.metrics}
    save_pretrained(create_model(name, pretrained=True), folder, known)


def embed(run: Path, name: str, data: str, measured_again: bool) -> None:
    """Embeds, evaluates and records weights.

    Args:
        run: A folder that training wrote, or one with shipped weights.
        name: Architecture and tag, such as ``"dacl.fer2013"``.
        data: FER-2013, in any layout.
        measured_again: Whether these weights are shipped already.
    """
    embed_weights(run, name, {})
    with tempfile.TemporaryDirectory() as out:
        argv = ["evaluate", name, "--data", data, "--split", "val", "--views", "20", "--out", out]
        sys.argv = ["fer-zoo", *argv[:-2]]  # the command that goes on record
        if fer_zoo_command(argv):
            sys.exit(f"{name} is embedded but could not be evaluated")
        generate.RESULTS.mkdir(exist_ok=True)
        shutil.copy(Path(out) / "metrics.json", generate.RESULTS / f"{name}.json")
    if (run / "curves.png").is_file():
        shutil.copy(run / "curves.png", generate.RESULTS / f"{name}-curves.png")
    result = generate.result_of(name)
    metrics = {"val": result["metrics"], "val_flip": result["metrics_flip"]}
    embed_weights(run, name, metrics, round(result["calibrated"]["temperature"], 4))
    if not measured_again:  # golden outputs of the same weights stay
        subprocess.run([sys.executable, "-m", "tests.golden", name], cwd=generate.ROOT, check=True)
    sys.argv = ["generate.py"]
    generate.main()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", help="folder that training wrote, or the name of shipped weights")
    parser.add_argument("name", help="architecture and tag, such as dacl.fer2013")
    parser.add_argument("--data", required=True, help="FER-2013, in any layout")
    args = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            run, shipped = Path(args.run), not Path(args.run).is_dir()
            if shipped:
                run = Path(folder)
                unpack(args.run, run)
            embed(run, args.name, args.data, shipped)
    except FerZooError as error:
        sys.exit(f"embed: {error}")
