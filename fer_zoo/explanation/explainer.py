"""Explains the predictions of any model on any face."""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, cast, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fer_zoo.errors import ConfigError
from fer_zoo.explanation.attention import attention
from fer_zoo.explanation.grad_cam import grad_cam
from fer_zoo.explanation.occlusion import occlusion
from fer_zoo.images.reading import MAX_PIXELS
from fer_zoo.inference.detection import Detect, FaceDetector, make_detector
from fer_zoo.inference.logits import LoadedModel, ModelLike, load_model
from fer_zoo.inference.prediction import Prediction
from fer_zoo.inference.predictor import Predictor
from fer_zoo.inference.reading import Boxes, FaceReader, FacesRead, several_images, with_boxes
from fer_zoo.models import FaceModel

if TYPE_CHECKING:
    from fer_zoo.images.reading import ImageLike

#: The methods by name: from a model, faces (N, C, H, W) and classes to maps (N, H, W) in 0..1.
METHODS: dict[str, Callable[[FaceModel, Tensor, list[int]], Tensor]] = {
    "gradcam": grad_cam,
    "occlusion": occlusion,
    "attention": attention,
}

_BATCH = 16  # faces of a pass


@dataclass(frozen=True, eq=False)
class Explanation:
    """A heat map of one face.

    Args:
        heat_map: float32 (H, W) in 0..1, of the face as the model sees it; zeros everywhere if
            nothing in the face speaks for the class.
        prediction: What the model says of the face.
        label: The class that the map explains; None of attention, which is of no class.
        face: The gray face that the model sees, uint8 (H, W).
        method: A name of ``METHODS``.
        model: The model's name, folder or class.
    """

    heat_map: NDArray[np.float32]
    prediction: Prediction
    label: str | None
    face: NDArray[np.uint8]
    method: str
    model: str


class _Options(TypedDict, total=False):
    method: str
    label: str | None
    margin: float
    color: str
    bits: int | None
    max_pixels: int
    device: str | torch.device | None


@overload
def explain(
    model: ModelLike,
    images: "ImageLike",
    *,
    boxes: None = ...,
    detect: Literal[False] = ...,
    detector: None = ...,
    **options: Unpack[_Options],
) -> Explanation: ...


@overload
def explain(
    model: ModelLike,
    images: object,
    *,
    boxes: Boxes | Sequence[Boxes] | None = ...,
    detect: Detect = ...,
    detector: str | FaceDetector | None = ...,
    **options: Unpack[_Options],
) -> Any: ...


@torch.inference_mode(False)
@torch.enable_grad()
def explain(
    model: ModelLike,
    images: object,
    *,
    method: str = "gradcam",
    label: str | None = None,
    boxes: Boxes | Sequence[Boxes] | None = None,
    detect: Detect = False,
    detector: str | FaceDetector | None = None,
    margin: float = 0.0,
    color: str = "rgb",
    bits: int | None = None,
    max_pixels: int = MAX_PIXELS,
    device: str | torch.device | None = None,
) -> Any:
    """Shows which part of a face speaks for a class, or where the model looks.

    Args:
        model: A name, a folder that training wrote, a model of fer_zoo, which stays as it is, or
            what :func:`fer_zoo.inference.logits.load_model` returned.
        images: One image or several, as :class:`fer_zoo.Predictor` takes them.
        method: ``"gradcam"`` (the last map, weighted by the gradients of the class's logit),
            ``"occlusion"`` (how much a gray square costs the class, wherever it lies), or
            ``"attention"`` (where self-attention looks, for a model that has it).
        label: The class to explain; by default the one that is predicted.
        boxes: Faces found by other means, as of :class:`fer_zoo.Predictor`.
        detect: Whether images are whole photographs whose faces must be found.
        detector: What finds them.
        margin: What is added around a box, as a share of its side.
        color: Order of the channels of arrays and tensors.
        bits: Bits of integer pixels of more than 8 bits.
        max_pixels: The most pixels that a file may have.
        device: Where to compute.

    Returns:
        For one image an :class:`Explanation`; with a detector or ``boxes`` a list of them, one per
        face and maybe empty. For several images, a list of these.

    Raises:
        ConfigError: If there is no such method or class.
        ExplanationError: If the model cannot be explained by this method; the message says why.
        ImageError: If an image or a box cannot be used.
        MissingDependencyError: If the library of a method, or the detector, is not installed.

    Example:
        >>> from fer_zoo import create_model
        >>> face = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
        >>> explain(create_model("vgg_nano"), face, method="occlusion").heat_map.shape
        (48, 48)
    """
    loaded = _own_copy(load_model(model, device))
    _check(method, label, loaded)
    predictor = Predictor(
        loaded.module, device=loaded.device, margin=margin, color=color, bits=bits,
        max_pixels=max_pixels,
    )  # fmt: skip
    finder = make_detector(detect if detector is None else detector)
    reader = FaceReader(loaded.preprocessing, finder, margin, color, bits, max_pixels)
    several = several_images(images)
    sources = [cast("ImageLike", images)] if several is None else several
    lists = [boxes] if several is None and boxes is not None else boxes
    reads = [reader(pair) for pair in with_boxes(sources, cast("Sequence[Boxes] | None", lists))]
    for read in reads:
        if read.error is not None:
            raise read.error
    explained = iter(_explain_faces(loaded, predictor, reads, method, label))
    per_image = [[next(explained) for _ in read.faces] for read in reads]
    whole = boxes is None and finder is None
    found = [faces[0] for faces in per_image] if whole else per_image
    return found[0] if several is None else found


def _check(method: str, label: str | None, loaded: LoadedModel) -> None:
    if method not in METHODS:
        raise ConfigError(f"no method {method!r}; there are {', '.join(METHODS)}")
    if label is not None and method == "attention":
        raise ConfigError("attention is of no class: leave the label out, or use another method")
    if label is not None and label not in loaded.label_names:
        names = ", ".join(loaded.label_names)
        raise ConfigError(f"{loaded.name} has no class {label!r}; it has {names}")


def _own_copy(loaded: LoadedModel) -> LoadedModel:
    """Copies the module, so that hooks and gradients do not reach the caller's."""
    module = copy.deepcopy(loaded.module).float().eval().requires_grad_(False)
    for part in module.modules():
        if isinstance(part, FaceModel):
            part.grad_checkpointing = False
    return replace(loaded, module=module)


def _explain_faces(
    loaded: LoadedModel,
    predictor: Predictor[Prediction],
    reads: Sequence[FacesRead],
    method: str,
    label: str | None,
) -> Iterator[Explanation]:
    places = [
        (read.path, *of_face)
        for read in reads
        for of_face in zip(read.faces, read.boxes, read.warnings, strict=True)
    ]
    for start in range(0, len(places), _BATCH):
        batch = places[start : start + _BATCH]
        faces = [face for _, face, _, _ in batch]
        predictions = predictor(faces)
        labels = [label or prediction.label for prediction in predictions]
        x = loaded.preprocessing.tensor(torch.from_numpy(np.stack(faces)).to(loaded.device))
        maps = METHODS[method](loaded.module, x, [loaded.label_names.index(n) for n in labels])
        heat_maps = maps.detach().cpu().numpy()
        for (path, face, box, warning), found, name, heat in zip(
            batch, predictions, labels, heat_maps, strict=True
        ):
            prediction = replace(found, box=box, path=path, warning=warning)
            shown = None if method == "attention" else name
            yield Explanation(heat, prediction, shown, face, method, loaded.name)


__all__ = ["METHODS", "Explanation", "explain"]
