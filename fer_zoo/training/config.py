"""Everything that shapes a training run, in one record: defaults, recipe file, then flags."""

import dataclasses
import difflib
import math
import tomllib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_origin, get_type_hints

from fer_zoo.errors import ConfigError
from fer_zoo.labels import FERPLUS_RULES

if TYPE_CHECKING:
    from fer_zoo.data.augment import BatchAugment


def _doc(default: Any, text: str) -> Any:
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: type(default)(default), metadata={"help": text})
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class TrainConfig:
    """A training recipe. Field descriptions are in the metadata; ``fer-zoo train -h`` prints them.

    Raises:
        ConfigError: If settings contradict each other or are out of range.
    """

    model: str = _doc("dacl", "model name, as in `fer-zoo list`")
    model_args: dict[str, Any] = _doc({}, "further arguments of the model, such as drop_path_rate")
    pretrained: str = _doc("", "weights to start from: a name or a run folder")
    pretrained_stem: str = _doc("", "weights that the ResNet stem alone starts from, likewise")
    labels: str = _doc("fer2013", "what to learn: fer2013 (7 classes) or ferplus (8)")
    ferplus_target: str = _doc(
        "majority", "how votes become targets of labels = ferplus: majority, soft, pld or multi"
    )
    seed: int = _doc(0, "seed of initialisation, order, augmentation and dropout")
    epochs: int = _doc(40, "passes over the training faces")
    batch_size: int = _doc(128, "faces per optimizer step, over all processes")
    accumulate: int = _doc(1, "parts that a step's batch is computed in, to save memory")
    optimizer: str = _doc("sgd", "timm optimizer: sgd (Nesterov), momentum, adam, adamw, ...")
    lr: float = _doc(0.1, "peak learning rate")
    momentum: float = _doc(0.9, "momentum of sgd")
    weight_decay: float = _doc(5e-4, "weight decay, not on biases and norms")
    decay_norms: bool = _doc(False, "weight decay on biases and norms too")
    schedule: str = _doc("cosine", "timm schedule: cosine, multistep, constant, ...")
    milestones: list[int] = _doc([15, 30], "epochs at which multistep decays")
    decay_rate: float = _doc(0.1, "factor of each multistep decay")
    warmup_epochs: int = _doc(2, "epochs of linear warm-up")
    warmup_lr: float = _doc(1e-3, "learning rate that warm-up starts from")
    min_lr: float = _doc(1e-4, "learning rate that cosine ends at")
    label_smoothing: float = _doc(0.1, "share of each label spread over all classes")
    clip_grad: float = _doc(0.0, "largest gradient norm; 0 does not clip")
    ema_decay: float = _doc(0.998, "decay of the averaged weights; 0 does not average")
    norm_faces: int = _doc(
        0,
        "training faces, not augmented, that the statistics of batch norms are taken from before "
        "validation; 0 keeps the running ones, and so does freeze",
    )
    keep_start: float = _doc(
        0.0, "share that the weights of pretrained keep in the validated ones; 0 keeps none"
    )
    mixup: float = _doc(0.0, "mixup alpha; 0 does not mix")
    center_loss: float = _doc(0.0, "weight of the attentive center loss")
    ferplus: float = _doc(0.0, "weight of a second head on the FER+ votes, beside labels = fer2013")
    teacher: str = _doc("", "model to distil from: names or run folders, separated by commas")
    teacher_views: str = _doc(
        "augmented",
        "what the teacher judges: the student's augmented faces, or fixed: each plain "
        "face and its mirror image, once before training",
    )
    distillation: float = _doc(0.5, "weight of the distillation loss; labels keep the rest")
    temperature: float = _doc(3.0, "temperature of distillation")
    freeze: bool = _doc(False, "train the classifier alone, the body stays as it is")
    layer_decay: float = _doc(1.0, "factor of the learning rate per layer below the head")
    class_weights: bool = _doc(False, "weigh classes by inverse frequency")
    balanced: bool = _doc(False, "draw every class equally often")
    exclude_leaks: bool = _doc(True, "drop training faces that equal a face of a later split")
    img_sizes: list[Any] = _doc([], "pixels from an epoch on, as [[0, 32], [10, 48]]")
    rotation: float = _doc(15.0, "largest rotation in degrees")
    shift: float = _doc(0.1, "largest shift, share of the side")
    scale: float = _doc(0.1, "largest relative change of size")
    flip: float = _doc(0.5, "probability of a horizontal flip")
    brightness: float = _doc(0.1, "largest change of brightness, white being 1")
    contrast: float = _doc(0.2, "largest relative change of contrast")
    erase: float = _doc(0.5, "probability that a rectangle is erased")
    erase_area: float = _doc(0.2, "largest share of the area that is erased")
    precision: str = _doc("auto", "auto, bfloat16 or float32")
    channels_last: str = _doc("auto", "auto, on or off")

    def __post_init__(self) -> None:
        if self.mixup and self.center_loss:
            raise ConfigError("mixup blends labels, and the center loss needs one: set one to 0")
        if self.pretrained and self.pretrained_stem:
            raise ConfigError("pretrained fills the stem too: set it or pretrained_stem, not both")
        if self.keep_start and not self.pretrained:
            raise ConfigError("keep_start needs weights to keep: name them as pretrained, or set 0")
        if self.epochs < 1 or self.batch_size < 2 or self.accumulate < 1:
            raise ConfigError("epochs and accumulate must be 1 or more, batch_size 2 or more")
        if self.norm_faces < 0 or self.norm_faces == 1:
            raise ConfigError(f"norm_faces is {self.norm_faces}; it must be 0, or 2 or more")
        if self.batch_size % self.accumulate:
            raise ConfigError(f"batch_size {self.batch_size} must divide by {self.accumulate=}")
        if self.mixup and self.batch_size % 2:
            raise ConfigError(f"mixup blends pairs: batch_size {self.batch_size} must be even")
        for name in ("label_smoothing", "ema_decay", "keep_start", "distillation", "flip", "erase"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be from 0 to 1")
        _one_of("precision", self.precision, ("auto", "bfloat16", "float32"))
        _one_of("channels_last", self.channels_last, ("auto", "on", "off"))
        _one_of("teacher_views", self.teacher_views, ("augmented", "fixed"))
        if not all(type(epoch) is int for epoch in self.milestones):
            raise ConfigError(f"milestones are {self.milestones}, not whole epochs")
        self._check_labels()
        for entry in self.img_sizes:
            pair = isinstance(entry, (list, tuple)) and [type(v) for v in entry] == [int, int]
            if not pair or entry[1] < 32:
                raise ConfigError(f"img_sizes: {entry} is no [epoch, pixels] of 32 pixels or more")

    def _check_labels(self) -> None:
        _one_of("labels", self.labels, ("fer2013", "ferplus"))
        _one_of("ferplus_target", self.ferplus_target, FERPLUS_RULES)
        target = f"ferplus_target = {self.ferplus_target}"
        if self.labels == "fer2013":
            if self.ferplus_target != "majority":
                raise ConfigError(f"{target} is a way to train on FER+: set labels = ferplus")
            return
        if self.ferplus:
            raise ConfigError(
                "ferplus adds a head on the FER+ votes to FER-2013's labels, and labels = ferplus "
                "learns these votes alone: set ferplus = 0, or labels = fer2013"
            )
        if self.ferplus_target != "majority" and (self.balanced or self.class_weights):
            raise ConfigError(
                f"balanced and class_weights need one label per face, which {target} does not "
                "give: leave them out, or set ferplus_target = majority"
            )
        if self.ferplus_target == "soft" and self.center_loss:
            raise ConfigError(
                f"the center loss needs one label per face, and {target} gives distributions: set "
                "center_loss = 0, or ferplus_target = pld"
            )
        if self.ferplus_target == "multi" and self.mixup:
            raise ConfigError(
                f"mixup blends labels, and {target} takes one of several: set mixup = 0, or "
                "ferplus_target = soft"
            )

    @property
    def augment(self) -> "BatchAugment":
        """The augmentation these settings describe."""
        from fer_zoo.data.augment import BatchAugment

        names = [f.name for f in dataclasses.fields(BatchAugment)]
        return BatchAugment(**{name: getattr(self, name) for name in names})

    def input_size(self, epoch: int, native: tuple[int, int]) -> tuple[int, int]:
        """Returns height and width in pixels that an epoch trains at; ``native`` by default."""
        sides = (side for start, side in sorted(self.img_sizes)[::-1] if epoch >= start)
        side = next(sides, None)
        return native if side is None else (side, side)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{name} is {value!r}; it can be {', '.join(allowed)}")


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


def load_config(recipe: str | Path | None = None, **overrides: Any) -> TrainConfig:
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
    hints = get_type_hints(TrainConfig)
    for name, value in settings.items():
        if name not in hints:
            close = difflib.get_close_matches(name, hints, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(hints)}"
            raise ConfigError(f"no setting {name!r}; {hint}")
        settings[name] = _typed(name, value, get_origin(hints[name]) or hints[name])
    return TrainConfig(**settings)


def _typed(name: str, value: Any, kind: type) -> Any:
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


__all__ = ["TrainConfig", "list_recipes", "load_config", "recipe_of"]
