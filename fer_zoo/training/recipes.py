"""Recipes: the TOML files of the package and of users, read into a :class:`TrainConfig`."""

import difflib
import math
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from fer_zoo.errors import ConfigError
from fer_zoo.training.config import TrainConfig

#: The recipe of pretrained weights, which is that of no model.
FINE_TUNE = "fine_tune"


def list_recipes() -> list[str]:
    """Returns the names of the recipes that come with the package."""
    files = resources.files("fer_zoo").joinpath("recipes").iterdir()
    return sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml"))


def recipe_of(model: str) -> str | None:
    """Returns the recipe of a model or of its weights; None if there is none.

    Args:
        model: A name such as ``"dacl"``, which is short for ``"dacl.fer2013"``, or
            ``"vgg.ferplus"``, whose recipe is called ``vgg_ferplus``.
    """
    name = model.removesuffix(".fer2013").replace(".", "_")
    return name if name in list_recipes() else None


def load_config(recipe: str | Path | None = None, **overrides: object) -> TrainConfig:
    """Reads a recipe and lays overrides on top.

    Args:
        recipe: A name of :func:`list_recipes` or the path of a TOML file.
        **overrides: Fields of :class:`TrainConfig`; None keeps the recipe's value.

    Raises:
        ConfigError: If the recipe does not exist or does not parse, or a field is unknown or has
            the wrong type.
    """
    settings = _read_recipe(recipe) if recipe else {}
    settings.update({k: v for k, v in overrides.items() if v is not None})
    if settings.get("backbone"):
        settings.setdefault("model", "backbone")
    hints = get_type_hints(TrainConfig)
    for name, value in settings.items():
        if name not in hints:
            close = difflib.get_close_matches(name, hints, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(hints)}"
            raise ConfigError(f"no setting {name!r}; {hint}")
        settings[name] = _typed(name, value, get_origin(hints[name]) or hints[name])
    return TrainConfig(**settings)


def _typed(name: str, value: object, kind: type) -> object:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 2**53 else math.inf
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ConfigError(f"{name} must be of type {kind.__name__}, not {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{name} is {value}; it must be a finite number")
    return value


def _read_recipe(recipe: str | Path) -> dict[str, Any]:
    path = Path(recipe)
    if path.suffix == ".toml" or path.is_file():
        if not path.is_file():
            raise ConfigError(f"no recipe file {path}")
        data = path.read_bytes()
    elif str(recipe) in list_recipes():
        data = resources.files("fer_zoo").joinpath(f"recipes/{recipe}.toml").read_bytes()
    else:
        raise ConfigError(f"no recipe {recipe!r}; there are {', '.join(list_recipes())}")
    try:
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, or nested without end
        raise ConfigError(f"recipe {recipe}: {error}") from error


__all__ = ["FINE_TUNE", "list_recipes", "load_config", "recipe_of"]
