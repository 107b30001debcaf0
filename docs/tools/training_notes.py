"""What cards and recipes say of the run that made weights, from the weights' own record."""

import json
import re
from dataclasses import replace
from pathlib import Path

from result_records import RECIPES, RESULTS, percent, record_of, result_of

from fer_zoo.errors import ConfigError
from fer_zoo.model_card import short_command
from fer_zoo.models import create_model
from fer_zoo.models.weights import WeightsRecord
from fer_zoo.training import TrainConfig, load_config, recipe_of


def run_lines(run: WeightsRecord) -> list[str]:
    """Describes the run that made weights, from their record."""
    training, recipe = run.training, run.recipe
    versions = ", ".join(f"{k} {v}" for k, v in training["versions"].items())
    kind = "bfloat16" if training["bfloat16"] else "float32"
    later = []
    if n := training.get("norm_faces_afterwards"):
        later += [
            f"The batch norm statistics were estimated after the run, on {n} training faces",
            "without augmentation; the epoch was chosen before. In training, `batch_norm_faces`",
            "does this.",
        ]
    if share := training.get("keep_start_afterwards"):
        later += [
            "The weights were interpolated after the run with the initial weights, which have a",
            f"share of {share}; the epoch was chosen before.",
        ]
    return [
        f"{_kept(run)}, after {training['hours']:.2f} hours on {training['hardware']}, {kind}, "
        f"seed {recipe['seed']},",
        f"{versions}. Accuracy on PublicTest: {percent(run.metrics['val'])} %.",
        *later,
        f"Command: `{train_command(run)}`",
        "",
        "```toml",
        *(f"{key} = {json.dumps(v)}" for key, v in recipe.items() if v not in ("", {})),
        "```",
        "",
    ]


def _kept(run: WeightsRecord) -> str:
    """Says which epoch the weights are of."""
    training, last = run.training, run.recipe["epochs"]
    if run.recipe.get("keep") != "last":
        return f"Best epoch {training['epochs']} of {last}"
    best = f"{training['best_epoch']} with {100 * training['best_accuracy']:.2f} %"
    return f"Last epoch, {last} (the best on PublicTest is {best})"


def curves_lines(name: str, run: WeightsRecord) -> list[str]:
    """Shows the loss and accuracy of each epoch, where the run left a picture of them.

    Args:
        name: Architecture and tag of the weights.
        run: Their record.
    """
    if not (RESULTS / f"{name}-curves.png").is_file():
        return ["There are no curves: no log of this run was kept.", ""]
    kind = "bfloat16" if run.training["bfloat16"] else "float32"
    later = run.training.keys() & {"norm_faces_afterwards", "keep_start_afterwards"}
    without = "; what was done to the weights after the run is not in it" if later else ""
    return [
        f"![loss and accuracy of each epoch of {name}](../results/{name}-curves.png)",
        "",
        f"The picture has the figures of training, in {kind}{without}.",
        "`train` is on augmented faces and the targets of the recipe, `val` on PublicTest and its",
        "labels: the two losses cannot be compared.",
        "",
    ]


def train_command(run: WeightsRecord) -> str:
    """Returns the command that trained weights: with the package's recipe if it made them."""
    name = name_of(run)
    if is_recipe_of(run):
        return f"fer-zoo train {name} --data fer2013.csv --out runs/{recipe_of(name)}"
    return short_command(run.training["command"])


def name_of(run: WeightsRecord) -> str:
    """Returns the name of weights, such as ``dacl``, or ``vgg.ferplus``."""
    return f"{run.architecture.removeprefix('fer_')}.{run.tag}".removesuffix(".fer2013")


def is_recipe_of(run: WeightsRecord) -> bool:
    """Says whether the package's recipe of this name has the settings that made weights.

    The precision may differ, which recipes leave to the machine, and the folders of teachers.
    Settings may have been added, and arguments of the model may have become the default.
    """
    recipe = recipe_of(name_of(run))
    try:
        made_by = load_config(**run.recipe)
    except ConfigError:  # a setting that is no more
        return False
    return recipe is not None and _comparable(load_config(recipe)) == _comparable(made_by)


def _comparable(config: TrainConfig) -> tuple[TrainConfig, str]:
    """Returns settings as all machines have them, and the network that they describe."""
    network = repr(create_model(config.model, device="meta", **config.model_args))
    teacher = ",".join(Path(name).name for name in config.teacher.split(","))
    same = replace(config, precision="auto", model_args={}, teacher=teacher)
    return same, network


def measured(name: str) -> str:
    """Returns a recipe with the cost and the result of its run, where weights are of this run.

    Args:
        name: Architecture and tag of the weights.
    """
    path, record = RECIPES / f"{recipe_of(name)}.toml", record_of(name)
    text = re.sub(r"^# Measured:.*\n", "", path.read_text(), flags=re.MULTILINE)
    if not is_recipe_of(record):
        return text
    title, settings = text.split("\n", 1)
    training, accuracy = record.training, percent(result_of(name)["metrics"])
    kept = f"epoch {training['epochs']} of {record.recipe['epochs']}"
    line = (
        f"# Measured: {accuracy} % on PublicTest with {kept}, after {training['hours']:.2f} h on "
        f"{training['hardware']}."
    )
    return f"{title}\n{line}\n{settings}"
