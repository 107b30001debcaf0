"""What follows an epoch: the model that would be published, and its figures on validation faces."""

import copy
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fer_zoo.data.dataset import FaceDataset, targets_in_order
from fer_zoo.models import FaceModel
from fer_zoo.preprocessing import preprocessing_of
from fer_zoo.training.batch_norm import reestimate_batch_norm
from fer_zoo.training.config import TrainConfig
from fer_zoo.training.loader import StoredFaces, TrainLoader

_BATCH = 256


def published_model(
    model: nn.Module,
    config: TrainConfig,
    loader: TrainLoader,
    predict: Callable[[nn.Module, Tensor], Tensor],
) -> nn.Module:
    """Returns a copy of a trained model as its recipe publishes it, in eval mode.

    Args:
        model: The trained model, with averaged weights if the recipe averages them.
        config: The recipe.
        loader: The training faces.
        predict: Calls a model, in the precision of training.
    """
    published = copy.deepcopy(model).eval()
    if config.batch_norm_faces and not config.freeze:
        faces = loader.sample(config.batch_norm_faces)
        inputs = map(loader.preprocessing.tensor, faces)
        reestimate_batch_norm(published, inputs, partial(predict, published))
    return published


class Validation:
    """Measures a model on the faces that choose the best epoch.

    Args:
        dataset: Validation faces.
        model: The model to train; it says the order of classes and the preprocessing.
        device: Where to compute.

    Raises:
        DataError: If the classes are not the model's.
    """

    def __init__(self, dataset: FaceDataset, model: FaceModel, device: torch.device) -> None:
        self.preprocessing = preprocessing_of(model)
        self.faces = StoredFaces(dataset.images, device)
        targets = targets_in_order(dataset, model.label_names)
        self.targets = torch.from_numpy(targets).to(device)

    def __len__(self) -> int:
        return len(self.targets)

    def __call__(self, predict: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """Returns ``val_loss`` and ``val_accuracy``.

        Args:
            predict: Gives the logits (N, num_classes) of a model's input (N, C, H, W).
        """
        losses, correct = [], []
        batches = zip(self.faces.batches(_BATCH), torch.split(self.targets, _BATCH), strict=True)
        for faces, targets in batches:
            logits = predict(self.preprocessing.tensor(faces))
            losses.append(F.cross_entropy(logits, targets, reduction="sum"))
            correct.append((logits.argmax(dim=1) == targets).sum())
        # read at the end, as a GPU would wait for each number
        loss, hits = (sum(torch.stack(values).tolist()) for values in (losses, correct))
        return {"val_loss": loss / len(self), "val_accuracy": hits / len(self)}


__all__ = ["Validation", "published_model"]
