"""Ships the best weights of a run with the package, and records their figures.

It embeds the run as float16, evaluates the embedded file on PublicTest, takes the temperature from
there, records the figures, and renews golden outputs, tables and model cards.

    python docs/tools/publish.py runs/dacl dacl.fer2013 --data fer2013.csv
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
from fer_zoo.hub import embed_weights

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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", help="folder that training wrote")
    parser.add_argument("name", help="architecture and tag, such as dacl.fer2013")
    parser.add_argument("--data", required=True, help="FER-2013, in any layout")
    args = parser.parse_args()
    try:
        publish(Path(args.run), args.name, args.data)
    except FerZooError as error:
        sys.exit(f"publish: {error}")
