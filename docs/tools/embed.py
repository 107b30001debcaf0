"""Ships the weights of a run with the package, and records their figures.

It embeds the run as float16, evaluates the embedded file on PublicTest, takes the temperature from
there, and records the figures. What else is on record of weights with this name (corruptions,
ensembles, attention, heat maps, crops, engines), or of all (combinations), is measured again, which
takes minutes. Then it renews golden outputs, tables and model cards.

    python docs/tools/embed.py runs/dacl dacl.fer2013 --data fer2013.csv
    python docs/tools/embed.py dacl.fer2013 dacl.fer2013 --data fer2013.csv  # measures them again
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import generate
from generate import RESULTS, ROOT

from fer_zoo.atomic import write_text
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


def evaluate(names: str, data: str, flag: list[str], record: str, made: str = "metrics") -> None:
    """Evaluates on PublicTest and puts the figures on record.

    Args:
        names: Weights, or members of an ensemble.
        data: FER-2013, in any layout.
        flag: What is evaluated beside the usual.
        record: File of the record.
        made: The file of ``fer-zoo evaluate`` that it is.
    """
    argv = ["evaluate", names, "--data", data, "--split", "val", *flag]
    with tempfile.TemporaryDirectory() as out:
        sys.argv = ["fer-zoo", *argv]  # the command that goes on record
        if fer_zoo_command([*argv, "--out", out]):
            sys.exit(f"{names} could not be evaluated")
        RESULTS.mkdir(exist_ok=True)
        shutil.copy(Path(out) / f"{made}.json", RESULTS / record)


def measure_the_rest(name: str, data: str) -> None:
    """Measures again what else is on record of weights with this name."""
    if (RESULTS / f"{name}-corruptions.json").is_file():
        evaluate(name, data, ["--corruptions"], f"{name}-corruptions.json", "corruptions")
    short, path_of_data = name.removesuffix(".fer2013"), str(Path(data).resolve())
    for path in sorted(RESULTS.glob("ensemble-*.json")):
        members = json.loads(path.read_text())["model"]
        if short in members.split(","):
            evaluate(members, data, ["--flip"], path.name)
    run([str(ROOT / "docs" / "tools" / "measure_combinations.py"), "--data", path_of_data])
    attention = RESULTS / "attention.json"
    if name in (names := json.loads(attention.read_text())):
        script = [str(ROOT / "examples" / "ablations.py"), path_of_data, str(ROOT)]
        run([*script, "--weights", *names, "--results", str(attention)])
    keys = [key.split() for key in json.loads((RESULTS / "heat_maps.json").read_text())]
    if methods := [method for weights, method in keys if weights == name]:
        script = [str(ROOT / "docs" / "tools" / "measure_heat_maps.py"), "--data", path_of_data]
        run([*script, "--only", name, "--methods", *methods])
    crops = RESULTS / "crops.json"
    if json.loads(crops.read_text())["model"] == short:
        script = [str(ROOT / "docs" / "tools" / "measure_crops.py"), "--data", path_of_data]
        run([*script, "--faces", "300", "--out", str(crops)])
    engines = RESULTS / "engines.jsonl"
    rows = [json.loads(line) for line in engines.read_text().splitlines()]
    if any(row["model"] == short for row in rows):
        bench = ["-m", "fer_zoo", "bench", short, "--engines", "--data", path_of_data, "--json"]
        measured = [json.loads(line) for line in run(bench).splitlines()]
        found = {(row["model"], row["engine"]): row for row in measured}
        rows = [found.get((row["model"], row["engine"]), row) for row in rows]
        write_text(engines, "".join(f"{json.dumps(row)}\n" for row in rows))


def run(command: list[str]) -> str:
    """Runs Python with a command, and returns what it prints."""
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def embed(run_folder: Path, name: str, data: str, measured_again: bool) -> None:
    """Embeds, evaluates and records weights.

    Args:
        run_folder: A folder that training wrote, or one with shipped weights.
        name: Architecture and tag, such as ``"dacl.fer2013"``.
        data: FER-2013, in any layout.
        measured_again: Whether these weights are shipped already.
    """
    embed_weights(run_folder, name, {})
    evaluate(name, data, ["--views", "20"], f"{name}.json")
    curves = RESULTS / f"{name}-curves.png"
    if (run_folder / "curves.png").is_file():
        shutil.copy(run_folder / "curves.png", curves)
    elif not measured_again:  # those of other weights
        curves.unlink(missing_ok=True)
    result = generate.result_of(name)
    metrics = {"val": result["metrics"], "val_flip": result["metrics_flip"]}
    embed_weights(run_folder, name, metrics, round(result["calibrated"]["temperature"], 4))
    if not measured_again:  # golden outputs of the same weights stay
        run(["-m", "tests.golden", name])
    measure_the_rest(name, data)
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
            given, shipped = Path(args.run), not Path(args.run).is_dir()
            if shipped:
                given = Path(folder)
                unpack(args.run, given)
            embed(given, args.name, args.data, shipped)
    except FerZooError as error:
        sys.exit(f"embed: {error}")
