"""All settings of a training run in one record: defaults, then a recipe file, then flags."""

import dataclasses
import operator
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fer_zoo.errors import ConfigError
from fer_zoo.labels import FERPLUS_RULES

if TYPE_CHECKING:
    from fer_zoo.data.augment import BatchAugment

#: The limits that a setting can have, by their key in the metadata of its field.
_LIMITS = {
    "ge": (">=", operator.ge),
    "gt": (">", operator.gt),
    "le": ("<=", operator.le),
    "lt": ("<", operator.lt),
}


def _setting(default: Any, text: str, **limits: Any) -> Any:
    metadata = {"help": text, **limits}
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class TrainConfig:
    """A training recipe. The metadata of a field has its description and its limits.

    ``fer-zoo train -h`` prints the descriptions.

    Raises:
        ConfigError: If a setting is out of range, or settings contradict each other.
    """

    model: str = _setting("dacl", "model name, as in `fer-zoo list`")
    model_args: dict[str, Any] = _setting({}, "arguments of the model, such as drop_path_rate")
    backbone: str = _setting("", "any model of timm as the body; the model is then backbone")
    pretrained: str = _setting("", "initial weights: a name or the folder of a run")
    pretrained_backbone: str = _setting(
        "",
        "initial weights of the backbone, or of a ResNet: timm/NAME.TAG, hf-hub:owner/name or a "
        "file",
    )
    labels: str = _setting(
        "auto",
        "labels to learn: auto (the data's own), fer2013 or ferplus (the votes of FER+); for image "
        "files the names of the classes: surprise,fear in the order of their numbers, or "
        "1=surprise,2=fear, or raf-db, affectnet, affectnet7, expw, fer2013 or ferplus for the "
        "meaning of their numbers",
    )
    val_share: float = _setting(
        0.1,
        "share of each class that is cut off for validation where the data has no such split",
        gt=0,
        lt=1,
    )
    on_error: str = _setting(
        "raise",
        "what to do with an image file that cannot be used: raise, or skip it",
        choices=("raise", "skip"),
    )
    fraction: float = _setting(1.0, "share of each class to train on, for a quick run", gt=0, le=1)
    ferplus_target: str = _setting(
        "majority",
        "how votes become targets with labels = ferplus: majority, soft, pld or multi",
        choices=FERPLUS_RULES,
    )
    seed: int = _setting(
        0, "seed of initial weights, order, augmentation and dropout", ge=0, lt=2**32
    )
    epochs: int = _setting(40, "passes over the training faces", ge=1)
    patience: int = _setting(
        0, "stop after so many epochs without a better one; 0 runs all of them", ge=0
    )
    batch_size: int = _setting(128, "faces per optimizer step, over all processes", ge=2)
    accumulate: int = _setting(1, "parts that each batch is computed in, to save memory", ge=1)
    optimizer: str = _setting("sgd", "timm optimizer: sgd (Nesterov), momentum, adam, adamw, ...")
    lr: float = _setting(0.1, "peak learning rate", ge=0)
    momentum: float = _setting(0.9, "momentum of sgd", ge=0, lt=1)
    weight_decay: float = _setting(5e-4, "weight decay, not of biases and norm layers", ge=0)
    decay_norms: bool = _setting(False, "weight decay of biases and norm layers too")
    schedule: str = _setting("cosine", "timm schedule: cosine, multistep, constant, ...")
    milestones: list[int] = _setting([15, 30], "epochs at which multistep decays")
    decay_rate: float = _setting(0.1, "factor of each multistep decay", ge=0)
    warmup_epochs: int = _setting(2, "epochs of linear warm-up", ge=0)
    warmup_lr: float = _setting(1e-3, "learning rate at the start of warm-up", ge=0)
    min_lr: float = _setting(1e-4, "learning rate at the end of cosine", ge=0)
    label_smoothing: float = _setting(
        0.1, "share of each label spread over all classes", ge=0, le=1
    )
    clip_grad: float = _setting(0.0, "largest gradient norm; 0 does not clip", ge=0)
    ema_decay: float = _setting(
        0.998, "decay of the averaged weights; 0 does not average", ge=0, le=1
    )
    batch_norm_faces: int = _setting(
        0,
        "training faces, without augmentation, that give the statistics of batch norm before each "
        "validation; 0 keeps the running statistics, and so does freeze",
        ge=0,
    )
    mixup: float = _setting(0.0, "alpha of mixup; 0 does not mix", ge=0)
    center_loss_weight: float = _setting(0.0, "weight of the attentive center loss", ge=0)
    ferplus_weight: float = _setting(
        0.0, "weight of the loss of a second head on the FER+ votes, beside FER-2013's labels", ge=0
    )
    teacher: str = _setting(
        "", "models to distil from: names or folders of runs, separated by commas"
    )
    teacher_views: str = _setting(
        "augmented",
        "faces that the teacher sees: augmented, as the student does; or fixed: each face without "
        "augmentation and its mirror image, once before training",
        choices=("augmented", "fixed"),
    )
    distillation_weight: float = _setting(
        0.5, "weight of the distillation loss; the loss of the labels has the rest", ge=0, le=1
    )
    distillation_temperature: float = _setting(3.0, "temperature of the distillation loss", gt=0)
    freeze: bool = _setting(False, "train the classifier only; the body keeps its weights")
    layer_decay: float = _setting(
        1.0, "factor of the learning rate per layer below the head", gt=0, le=1
    )
    class_weights: bool = _setting(False, "weight classes by inverse frequency")
    keep: str = _setting(
        "best",
        "weights that the run's folder keeps: of the best epoch on the validation faces, or of the "
        "last one, which these faces did not choose",
        choices=("best", "last"),
    )
    balanced: bool = _setting(False, "draw every class equally often")
    exclude_leaks: bool = _setting(
        True, "drop training faces of FER-2013 that equal a face of a later split"
    )
    img_sizes: list[Any] = _setting([], "side in pixels from an epoch on, as [[0, 32], [10, 48]]")
    rotation: float = _setting(15.0, "largest rotation in degrees", ge=0, le=180)
    shift: float = _setting(0.1, "largest shift, as a share of the side", ge=0, le=1)
    scale: float = _setting(0.1, "largest relative change of size", ge=0, lt=1)
    flip: float = _setting(0.5, "probability of a horizontal flip", ge=0, le=1)
    brightness: float = _setting(0.1, "largest change of brightness; white is 1", ge=0, le=1)
    contrast: float = _setting(0.2, "largest relative change of contrast", ge=0, le=1)
    erase: float = _setting(0.5, "probability that a rectangle is erased", ge=0, le=1)
    erase_area: float = _setting(0.2, "largest share of the area that is erased", ge=0.02, le=1)
    precision: str = _setting(
        "auto", "auto, bfloat16 or float32", choices=("auto", "bfloat16", "float32")
    )
    channels_last: str = _setting("auto", "auto, on or off", choices=("auto", "on", "off"))
    capture: str = _setting(
        "auto",
        "auto or off: whether a GPU runs each step as one CUDA graph",
        choices=("auto", "off"),
    )

    def __post_init__(self) -> None:
        for setting in dataclasses.fields(self):
            value, known = getattr(self, setting.name), setting.metadata
            if "choices" in known and value not in known["choices"]:
                choices = ", ".join(known["choices"])
                raise ConfigError(f"{setting.name} is {value!r}; it can be {choices}")
            limits = {key: known[key] for key in _LIMITS if key in known}
            if not all(_LIMITS[key][1](value, limit) for key, limit in limits.items()):
                words = " and ".join(f"{_LIMITS[key][0]} {v}" for key, v in limits.items())
                raise ConfigError(f"{setting.name} is {value}; it must be {words}")
        self._check_structure()
        for wrong, message in [*self._contradictions(), *self._contradictions_of_labels()]:
            if wrong:
                raise ConfigError(message)

    def _check_structure(self) -> None:
        """Checks the settings that are lists and tables."""
        if not all(type(epoch) is int and epoch >= 0 for epoch in self.milestones):
            raise ConfigError(f"milestones are {self.milestones}; they must be whole epochs")
        for entry in self.img_sizes:
            pair = isinstance(entry, (list, tuple)) and [type(v) for v in entry] == [int, int]
            if not pair or entry[0] < 0 or entry[1] < 32:
                raise ConfigError(
                    f"img_sizes has {entry!r}; each entry must be [epoch, pixels], with 32 pixels "
                    "or more"
                )
        for name, value in self.model_args.items():
            rate = isinstance(value, (int, float)) and 0 <= value <= 1
            if str(name).endswith("_rate") and not rate:
                raise ConfigError(f"model_args has {name} = {value!r}; it must be from 0 to 1")

    def _contradictions(self) -> Iterator[tuple[object, str]]:
        """Yields what may be wrong, and the message for it."""
        yield (
            self.backbone and self.model != "backbone",
            f"backbone = {self.backbone} is the body of the model called backbone, and the model "
            f"is {self.model}: leave one of them out, or say model = backbone",
        )
        yield (
            self.backbone and "backbone" in self.model_args,
            "backbone is a setting and in model_args too: leave one of them out",
        )
        yield (
            self.pretrained and self.pretrained_backbone,
            "pretrained and pretrained_backbone both give initial weights: leave one of them out",
        )
        yield (
            self.mixup and self.center_loss_weight,
            "mixup blends labels, and the center loss needs one: set mixup or center_loss_weight "
            "to 0",
        )
        yield self.batch_norm_faces == 1, "batch_norm_faces is 1; it must be 0, or 2 or more"
        yield (
            self.batch_size % self.accumulate,
            f"batch_size {self.batch_size} must be a multiple of accumulate = {self.accumulate}",
        )
        yield (
            self.mixup and self.batch_size % 2,
            f"mixup blends pairs: batch_size {self.batch_size} must be even",
        )

    def _contradictions_of_labels(self) -> Iterator[tuple[object, str]]:
        target = f"ferplus_target = {self.ferplus_target}"
        ferplus, majority = self.labels == "ferplus", self.ferplus_target == "majority"
        yield (
            not ferplus and not majority,
            f"{target} is a way to train on FER+: set labels = ferplus",
        )
        yield (
            ferplus and self.ferplus_weight,
            "ferplus_weight adds a head on the FER+ votes to FER-2013's labels, and labels = "
            "ferplus learns these votes alone: set ferplus_weight = 0, or labels = auto",
        )
        yield (
            ferplus and not majority and (self.balanced or self.class_weights),
            f"balanced and class_weights need one label per face, and {target} does not give one: "
            "leave them out, or set ferplus_target = majority",
        )
        yield (
            self.ferplus_target == "soft" and self.center_loss_weight,
            f"the center loss needs one label per face, and {target} gives distributions: set "
            "center_loss_weight = 0, or ferplus_target = pld",
        )
        yield (
            self.ferplus_target == "multi" and self.mixup,
            f"mixup blends labels, and {target} takes one of several: set mixup = 0, or "
            "ferplus_target = soft",
        )

    def from_random_weights(self) -> "TrainConfig":
        """Returns the same recipe without the settings that need weights of other models."""
        return dataclasses.replace(self, pretrained="", pretrained_backbone="", teacher="")

    @property
    def augment(self) -> "BatchAugment":
        """The augmentation these settings describe."""
        from fer_zoo.data.augment import BatchAugment

        names = [f.name for f in dataclasses.fields(BatchAugment)]
        return BatchAugment(**{name: getattr(self, name) for name in names})

    def input_size(self, epoch: int, native: tuple[int, int]) -> tuple[int, int]:
        """Returns height and width in pixels that an epoch trains at; ``native`` by default."""
        sides = (side for first, side in sorted(self.img_sizes)[::-1] if epoch >= first)
        side = next(sides, None)
        return native if side is None else (side, side)


__all__ = ["TrainConfig"]
