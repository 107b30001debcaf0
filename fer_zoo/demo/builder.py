"""Builds the page: a folder of static files that any web server can serve."""

import gzip
import hashlib
import json
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from filelock import FileLock

from fer_zoo.atomic import make_folder
from fer_zoo.demo.models import export_models
from fer_zoo.demo.packages import (
    ENGINES,
    PAGE,
    check_packages,
    copy_detector,
    copy_example,
    install_engines,
)
from fer_zoo.errors import OutputError
from fer_zoo.exported_files import export_path

#: Models of a page that is built without naming any; the first is chosen when it opens.
MODELS = ("vgg_small", "dacl")
#: What a browser may have to load, all files together, compressed.
BUDGET = 15e6
#: Marks a folder as a page; the service worker reads it.
_MARK = "build.js"
_SAYS = b"self.BUILD = "
_NOT_SERVED = ("package.json", "package-lock.json")


@dataclass(frozen=True)
class Built:
    """A page that was built.

    Args:
        folder: Its files.
        wire: Bytes that a browser loads, compressed, until the page works offline with every model;
            of the engine with larger files.
        files: The same of each file or engine.
    """

    folder: Path
    wire: int
    files: dict[str, int]


def cached(models: Sequence[str] = MODELS) -> Path:
    """Returns the folder of a page in the cache, which is built if it is not there or is old.

    The cache is that of :func:`fer_zoo.exported_files.export_path`.

    Args:
        models: As of :func:`build`.
    """
    folder = export_path("demo").with_suffix("")
    wanted = json.dumps([_fingerprint(), [(name, _content_of(name)) for name in models]])
    stamp = folder.with_name("demo.json")
    make_folder(folder.parent)
    with FileLock(folder.with_name("demo.lock")):
        if (
            not (folder / _MARK).is_file()
            or not stamp.is_file()
            or stamp.read_bytes() != wanted.encode()
        ):
            stamp.unlink(missing_ok=True)
            build(folder, models)
            stamp.write_text(wanted, "utf-8")
    return folder


def build(folder: str | Path, models: Sequence[str] = MODELS) -> Built:
    """Builds the page with its models.

    Args:
        folder: Where it goes: a new or empty folder, or that of an earlier page, which is replaced
            once the new one is complete.
        models: Names, or folders that training wrote; the first is chosen when the page opens.

    Raises:
        ConfigError: If no model is named, or one twice.
        MissingDependencyError: If npm or the extra ``page`` is missing.
        OutputError: If the folder holds something else, or cannot be written.
        UnknownModelError: If there is no such model.

    Example:
        >>> from fer_zoo.demo import build
        >>> build("page", ["vgg_small"]).wire < 15e6  # doctest: +SKIP
        True
    """
    folder = Path(folder).absolute()
    if folder.exists() and (foreign := _foreign(folder)):
        raise OutputError(
            f"{folder} holds something else than a page ({foreign}); give a new or empty folder"
        )
    check_packages()
    make_folder(folder.parent)
    new = folder.with_name(f".{folder.name}.partial-{secrets.token_hex(4)}")
    try:
        shutil.copytree(PAGE, new, ignore=shutil.ignore_patterns(*_NOT_SERVED, "node_modules"))
        _fill(new, list(models))
        files = _compress(new)
        _replace(folder, new)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return Built(folder, sum(files.values()), files)


def _fill(new: Path, models: list[str]) -> None:
    """Adds the models, the detector, the engines, and what the page reads of them."""
    (new / "models").mkdir()
    found = [model.to_json() for model in export_models(models, new / "models")]
    copy_detector(new / "detector")
    install_engines(new / "engines")
    config = {"models": found, "example": copy_example(new)}
    (new / "config.json").write_text(json.dumps(config), "utf-8")
    engines = {name: [f"engines/{file}" for file in files] for name, files in ENGINES.items()}
    paths = sorted(path for path in new.rglob("*") if path.is_file())
    names = [path.relative_to(new).as_posix() for path in paths]
    digest = hashlib.sha256(b"".join(hashlib.sha256(p.read_bytes()).digest() for p in paths))
    build_ = {
        "version": digest.hexdigest()[:16],
        "files": ["./", *(n for n in names if not n.startswith("engines/") and n != "sw.js")],
        "engines": engines,
    }
    (new / _MARK).write_bytes(_SAYS + json.dumps(build_, indent=1).encode() + b";\n")


def _compress(new: Path) -> dict[str, int]:
    """Writes a gzipped copy beside each file that shrinks; returns what is sent of each file."""
    sent = {}
    for path in sorted(path for path in new.rglob("*") if path.is_file()):
        content = path.read_bytes()
        packed = gzip.compress(content, 9, mtime=0)
        if shrinks := len(packed) < 0.95 * len(content):
            path.with_name(f"{path.name}.gz").write_bytes(packed)
        sent[path.relative_to(new).as_posix()] = len(packed if shrinks else content)
    engines = {
        name: sum(sent.pop(f"engines/{file}") for file in files) for name, files in ENGINES.items()
    }
    largest = max(engines, key=lambda name: engines[name])
    return {**sent, f"engine {largest}": engines[largest]}


def _replace(folder: Path, new: Path) -> None:
    try:
        if folder.exists():
            shutil.rmtree(folder)
        new.rename(folder)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error}; choose another folder") from error


def _foreign(folder: Path) -> str | None:
    """Returns something in a folder that no page wrote, None where there is nothing of the kind."""
    if not folder.is_dir():
        return "no folder"
    ours = _written(folder)
    ours |= {f"{name}.gz" for name in ours}
    entries = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    names = (path.relative_to(folder).as_posix() for path in entries)
    return next((name for name in names if name not in ours), None)


def _written(folder: Path) -> set[str]:
    """Returns the files of the page in a folder, as its mark lists them; none if there is none."""
    try:
        said = json.loads((folder / _MARK).read_bytes().removeprefix(_SAYS)[:-2])
        return {_MARK, "sw.js", *said["files"], *chain.from_iterable(said["engines"].values())}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return set()


def _content_of(model: str) -> str | None:
    """Returns what changes with a model in a folder; None for a model of the package."""
    folder = Path(model)
    if not folder.is_dir():
        return None
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*")):
        if path.is_file() and path.suffix in (".json", ".safetensors"):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _fingerprint() -> str:
    """Returns what changes with this version's page and weights."""
    from fer_zoo import __version__
    from fer_zoo.model_table import TABLE_PATH

    digest = hashlib.sha256(__version__.encode())
    for path in (*sorted(PAGE.iterdir()), TABLE_PATH, TABLE_PATH.parent / "weights/weights.json"):
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()
