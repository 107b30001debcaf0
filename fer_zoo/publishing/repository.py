"""The weights of the package as repositories of the hub: written, loaded back, compared."""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]
from timm.models import split_model_name_tag

from fer_zoo.errors import ConfigError, OutputError, UnknownModelError, WeightsError
from fer_zoo.hub import CARD_NAME, save_pretrained
from fer_zoo.labels import FERPLUS_LABELS, same_labels
from fer_zoo.model_card import card_of, sealed
from fer_zoo.models import create_model
from fer_zoo.models._build import PREFIX
from fer_zoo.models.face_model import FaceModel
from fer_zoo.models.registry import is_model, resolve_name
from fer_zoo.models.weights import (
    WEIGHTS_NAME,
    JsonObject,
    WeightsRecord,
    embedded_record,
    embedded_weights,
)
from fer_zoo.preprocessing import preprocessing_of


@dataclass(frozen=True)
class HubFile:
    """A file of a repository.

    Args:
        name: Its name.
        size: Its bytes.
        sha256: Its sha256 in hexadecimal.
        git_sha1: What git calls its content, as the hub does for small files.
    """

    name: str
    size: int
    sha256: str
    git_sha1: str


@dataclass(frozen=True)
class Repository:
    """A repository that is ready to be uploaded.

    Args:
        repo_id: ``owner/name`` on the hub.
        folder: Where its files are.
        files: The files.
    """

    repo_id: str
    folder: Path
    files: tuple[HubFile, ...]


def publishable() -> list[str]:
    """Lists the weights whose file is in the package, such as ``"dacl.fer2013"``."""
    records = {name: embedded_record(name) for name in embedded_weights()}
    return [name.removeprefix(PREFIX) for name, r in records.items() if r and r.file.is_file()]


def repository_ids(names: Sequence[str], owner: str) -> dict[str, str]:
    """Returns the repository of each weights.

    Args:
        names: Weights, with or without their tag; none for all that are in the package.
        owner: User or organization on the hub.

    Returns:
        ``owner/name`` by the name of the weights.

    Raises:
        UnknownModelError: If there are no such weights.
        ConfigError: If the hub allows no such name.
    """
    known, wanted = publishable(), {}
    for name in names or known:
        if Path(name).is_dir() and not is_model(name):
            raise UnknownModelError(
                f"{name} is a folder: fer_zoo.push_to_hub uploads a model of your own"
            )
        architecture, _ = split_model_name_tag(resolved := resolve_name(name))
        tag = timm.get_pretrained_cfg(resolved).tag
        full = f"{architecture}.{tag}".removeprefix(PREFIX)
        if full not in known:
            raise UnknownModelError(
                f"{name} has no weights in the package; there are {', '.join(known) or 'none yet'}"
            )
        wanted[full] = f"{owner}/{full}"
        try:
            validate_repo_id(wanted[full])
        except ValueError as error:
            raise ConfigError(f"{owner!r} can be no user of the hub: {error}") from error
    return wanted


def prepare(name: str, repo_id: str, folder: Path) -> Repository:
    """Writes the repository of weights, loads it back and compares.

    Args:
        name: The weights, such as ``"dacl.fer2013"``.
        repo_id: ``owner/name`` on the hub.
        folder: Where to write; made if it is missing.

    Raises:
        WeightsError: If the files would give something else than the weights of the package.
        OutputError: If the folder cannot be written.
    """
    model = create_model(name, pretrained=True).eval()
    record = embedded_record(f"{PREFIX}{name}")
    if record is None:
        raise WeightsError(f"{name} is not on the record of the package")
    ferplus = same_labels(model.label_names, FERPLUS_LABELS)
    config: JsonObject = {
        "dataset": "ferplus" if ferplus else "fer2013",
        "metrics": record.metrics,
        "recipe": record.recipe,
        "training": record.training,
        "license": model.pretrained_cfg["license"],
    }
    card = card_of(
        model, repo_id, config, figures=_figures(ferplus, record.recipe), data=_data(record)
    )
    save_pretrained(model, folder, config, dtype=torch.float16, card=sealed(str(card)))
    repository = Repository(repo_id, folder, tuple(_files(folder)))
    _check(name, model, repository, record)
    return repository


def _figures(ferplus: bool, recipe: JsonObject) -> str:
    which = ", the faces on which more than half of the FER+ votes agree" if ferplus else ""
    return (
        f"val is PublicTest of FER-2013{which}; val_flip the same with the mean of each face and "
        f"its mirror image. {chosen(recipe)} PrivateTest was not used. One seed."
    )


def _data(record: WeightsRecord) -> str:
    faces = record.training.get("training_faces")
    if not faces or not record.recipe:
        return ""
    return (
        f"{begun(record.recipe)} on {faces:,} Training faces of FER-2013 (without those that are "
        f"blank or identical to a face of PublicTest or PrivateTest), with "
        f"{learnt(record.recipe)}."
    )


def chosen(recipe: JsonObject) -> str:
    """Says what PublicTest chose of weights."""
    if recipe.get("keep") == "last":
        return (
            "PublicTest did not choose the epoch, which is the last; it chose settings of the "
            "recipe, so its figures may be a little high."
        )
    return "PublicTest also chose the best epoch, so its figures are a little high."


def begun(recipe: JsonObject) -> str:
    """Says which weights a recipe starts from."""
    if recipe.get("pretrained"):
        return f"From the weights of `{recipe['pretrained']}`"
    if recipe.get("pretrained_stem"):
        return f"From scratch, except the stem of `{recipe['pretrained_stem']}`,"
    return "From scratch"


def learnt(recipe: JsonObject) -> str:
    """Says what a recipe's targets are."""
    taught = [f"`{name.strip()}`" for name in recipe.get("teacher", "").split(",") if name]
    teachers = f", and distilled from {', '.join(taught)}" if taught else ""
    if recipe.get("labels") == "ferplus":
        return f"targets from their FER+ votes (`{recipe.get('ferplus_target')}`){teachers}"
    votes = (
        " and the FER+ votes of the same faces as a second head"
        if recipe.get("ferplus_weight")
        else ""
    )
    return f"their labels{votes}{teachers}"


def _check(name: str, model: FaceModel, repository: Repository, record: WeightsRecord) -> None:
    """Refuses a repository that does not give what the package gives."""
    folder, sums = repository.folder, {file.name: file.sha256 for file in repository.files}
    again = create_model(folder, pretrained=True).eval()
    size = model.pretrained_cfg["input_size"]
    faces = torch.randn(4, *size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        same = {
            "logits": torch.equal(model(faces), again(faces)),
            "labels": model.label_names == again.label_names,
            "temperature": model.temperature == again.temperature,
            "preprocessing": preprocessing_of(model) == preprocessing_of(again),
            f"sha256 of {WEIGHTS_NAME}": sums[WEIGHTS_NAME] == record.sha256,
        }
    if wrong := [what for what, right in same.items() if not right]:
        raise WeightsError(f"{folder}: not the {', '.join(wrong)} of {name} in the package")
    card = ModelCard.load(folder / CARD_NAME)  # fails if the front matter is none
    if not model_index_to_eval_results(card.data.to_dict()["model-index"])[1]:
        raise WeightsError(f"{folder / CARD_NAME} shows no figures")


def _files(folder: Path) -> Iterator[HubFile]:
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        yield HubFile(
            path.name,
            len(content),
            hashlib.sha256(content).hexdigest(),
            hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest(),
        )


def prepare_all(names: Sequence[str], owner: str, folder: Path) -> list[Repository]:
    """Writes the repositories of weights into a folder, and uploads nothing.

    Args:
        names: As for :func:`repository_ids`.
        owner: User or organization on the hub.
        folder: An empty folder, or none yet; each repository gets a folder in it.

    Raises:
        OutputError: If the folder holds something already.
    """
    wanted = repository_ids(names, owner)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} is not empty: empty it, or choose another folder with --out")
    try:
        return [prepare(name, repo_id, folder / name) for name, repo_id in wanted.items()]
    except BaseException:  # so that the same command can be given again
        for name in wanted:
            shutil.rmtree(folder / name, ignore_errors=True)
        raise
