"""The training faces, and the augmented batches drawn from them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fer_zoo.data.dataset import FaceDataset
from fer_zoo.data.fer2013.ferplus import FERPlus, draw_labels, ferplus_targets
from fer_zoo.data.lazy import Images
from fer_zoo.errors import ConfigError, DataError
from fer_zoo.preprocessing import Preprocessing
from fer_zoo.training.config import TrainConfig
from fer_zoo.training.distributed import World
from fer_zoo.training.objective import Batch


def epoch_seed(config: TrainConfig, epoch: int) -> int:
    """Returns the seed of everything random in one epoch, so that resuming needs no state."""
    return config.seed * 100_003 + epoch


class StoredFaces:
    """Faces before augmentation, fetched in batches onto a device.

    A tensor moves to the device as a whole. Lazy faces are read batch by batch, so that memory
    holds one batch of them.

    Args:
        images: uint8 faces (N, H, W).
        device: Where batches go.
    """

    def __init__(self, images: Images, device: torch.device) -> None:
        self.device, self.images = device, images
        self.index_device = torch.device("cpu")
        if isinstance(images, Tensor):
            self.images, self.index_device = images.to(device), device

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, positions: Tensor) -> Tensor:
        return self.images[positions.to(self.index_device)].to(self.device)

    def batches(self, size: int = 256) -> Iterator[Tensor]:
        """Yields all faces in order."""
        for positions in torch.split(torch.arange(len(self)), size):
            yield self[positions]


@dataclass
class Draws:
    """What chance decides about the batch of one step; the rest is a pure function of it.

    Args:
        positions: Positions of the faces in the data set (N,).
        augmentation: Uniform numbers of the augmentation (N, 12).
        targets: Class indices (N,), or distributions (N, num_classes).
        shares: What mixup leaves of a face, and what it takes of its partner (2,).
    """

    positions: Tensor
    augmentation: Tensor
    targets: Tensor
    shares: Tensor


class TrainLoader:
    """Draws augmented batches; the same seed and epoch give the same ones on any processes.

    Mixup alone depends on the number of processes, as each blends the faces of its own part.

    Args:
        dataset: Training faces.
        config: Batch size, augmentation, mixup, sampling.
        world: The processes; each loads its part of every batch.
        preprocessing: The input that the model takes.

    Attributes:
        teacher_logits: Logits of a teacher for all faces (faces, num_classes), or None; batches
            carry their part.

    Raises:
        DataError: If there are fewer faces than a batch takes.
        ConfigError: If the labels are not those of the recipe, or it needs FER+ votes and the data
            set has none.
    """

    def __init__(
        self,
        dataset: FaceDataset,
        config: TrainConfig,
        world: World,
        preprocessing: Preprocessing,
    ) -> None:
        _check_dataset(dataset, config)
        self.config, self.preprocessing, self.device = config, preprocessing, world.device
        self.augment = config.augment
        self.part = world.part(config.batch_size)
        if config.mixup and (self.part.stop - self.part.start) % 2:
            raise ConfigError(
                f"mixup blends pairs: batch_size {config.batch_size} must be even in each of "
                f"{world.size} processes"
            )
        self.labels = dataset.targets
        self.num_classes = len(dataset.label_names)
        self.faces = StoredFaces(dataset.images, self.device)
        self.targets = dataset.targets.to(self.device)
        self.teacher_logits: Tensor | None = None
        self.votes: Tensor | None = None
        if config.ferplus_weight and dataset.votes is not None:
            votes, voted = ferplus_targets(dataset.votes, "soft")
            self.votes, self.voted = votes.to(self.device), voted.to(self.device)

    def __len__(self) -> int:
        return len(self.labels) // self.config.batch_size

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yields the batches of one epoch, whose number sets the seed and the resolution."""
        for draws in self.draws(epoch):
            yield self.batch(draws, self.size(epoch))

    def size(self, epoch: int) -> tuple[int, int]:
        """Returns height and width in pixels of an epoch's faces."""
        return self.config.input_size(epoch, self.preprocessing.size)

    def draws(self, epoch: int) -> Iterator[Draws]:
        """Yields what :meth:`batch` makes the batches of one epoch from."""
        generator = torch.Generator().manual_seed(epoch_seed(self.config, epoch))
        steps, n = len(self), self.config.batch_size
        order = self.order(generator).to(self.faces.index_device)
        targets = self.targets
        if self.config.ferplus_target == "pld":
            targets = draw_labels(self.labels, generator).to(self.device)
        # each process draws for all, so that its part is the same for any number of processes; and
        # for the whole epoch, as a copy to a GPU at each step would wait for the step before it
        augmentation = self.augment.draw(steps * n, generator).to(self.device)
        shares = self._shares(steps)
        for step in range(steps):
            part = slice(step * n + self.part.start, step * n + self.part.stop)
            chosen = targets[order[part].to(self.device)]
            yield Draws(order[part], augmentation[part], chosen, shares[step])

    def _shares(self, steps: int) -> Tensor:
        """Returns the shares of a face and of its partner in each step, (steps, 2)."""
        own = [1.0] * steps
        if self.config.mixup:
            for step in range(steps):
                np.random.rand()  # timm's Mixup decides with it whether to mix; old runs have it
                own[step] = np.random.beta(self.config.mixup, self.config.mixup)
        return torch.tensor([(share, 1 - share) for share in own]).to(self.device)

    def batch(self, draws: Draws, size: tuple[int, int]) -> Batch:
        """Returns a step's batch, computed on the device from draws that lie there.

        Args:
            draws: One of :meth:`draws`.
            size: Height and width in pixels.
        """
        faces, chosen = self.faces[draws.positions], draws.positions.to(self.device)
        images = self.augment(faces, draws.augmentation, self.preprocessing, size)
        batch = Batch(images, draws.targets)
        if self.votes is not None:
            batch.votes, batch.voted = self.votes[chosen], self.voted[chosen]
        if self.teacher_logits is not None:
            batch.teacher_logits = self.teacher_logits[chosen]
        return self.mix(batch, draws.shares) if self.config.mixup else batch

    def order(self, generator: torch.Generator) -> Tensor:
        """Returns the positions of one epoch's faces, shuffled, or balanced over classes."""
        n = len(self.labels)
        if not self.config.balanced:
            return torch.randperm(n, generator=generator)
        weights = 1 / torch.bincount(self.labels, minlength=self.num_classes).float()
        return torch.multinomial(weights[self.labels], n, replacement=True, generator=generator)

    def sample(self, n: int) -> Iterator[Tensor]:
        """Yields n faces without augmentation, or all there are; the seed chooses them.

        Args:
            n: Number of faces.

        Yields:
            uint8 faces (N, H, W) in batches of at most 256, whose sizes differ by one at most.
        """
        generator = torch.Generator().manual_seed(self.config.seed)
        chosen = torch.randperm(len(self.labels), generator=generator)[:n]
        for positions in chosen.tensor_split(math.ceil(len(chosen) / 256)):
            yield self.faces[positions]

    def mix(self, batch: Batch, shares: Tensor) -> Batch:
        """Blends pairs of faces and, in the same proportion, their labels, votes and logits.

        Mixup as timm's, with shares that a CUDA graph can read.

        Args:
            batch: The faces of one step; the last is the partner of the first, and so on.
            shares: What is left of a face, and what is taken of its partner (2,).
        """
        own, other = shares.unbind()
        images = batch.images * own + batch.images.flip(0) * other
        same = torch.eye(len(images), device=images.device)
        matrix = same * own + same.flip(0) * other  # mixes any kind of label
        targets = batch.targets
        if targets.ndim == 1:
            targets = torch.eye(self.num_classes, device=targets.device)[targets]
        mixed = Batch(images, matrix @ targets)
        if batch.votes is not None and batch.voted is not None:
            mixed.votes = matrix @ batch.votes
            mixed.voted = (matrix @ (~batch.voted).float()) == 0
        if batch.teacher_logits is not None:
            # softened as the loss softens them, so that it finds the blend of both distributions
            temperature = self.config.distillation_temperature
            blend = matrix @ (batch.teacher_logits / temperature).softmax(dim=1)
            mixed.teacher_logits = temperature * blend.log()
        return mixed


def _check_dataset(dataset: FaceDataset, config: TrainConfig) -> None:
    if len(dataset) < config.batch_size:
        raise DataError(
            f"{len(dataset)} training faces do not fill one batch of {config.batch_size}; "
            "set a smaller --batch-size"
        )
    if config.ferplus_weight and dataset.votes is None:
        raise ConfigError(
            "ferplus_weight needs FER+ votes, and the data has none: put fer2013new.csv beside "
            "the csv, or set ferplus_weight = 0"
        )
    given = dataset.target if isinstance(dataset, FERPlus) else ""
    wanted = config.ferplus_target if config.labels == "ferplus" else ""
    if given != wanted:
        fitting = f"FERPlus(..., target={wanted!r})" if wanted else "one that is no FERPlus"
        settings = f"labels = ferplus, ferplus_target = {given}" if given else "labels = auto"
        raise ConfigError(
            f"the recipe has labels = {config.labels}, ferplus_target = {config.ferplus_target}: "
            f"give it {fitting}, or set {settings} for this data set"
        )


def seed_everything(config: TrainConfig, epoch: int, rank: int) -> None:
    """Seeds the global generators, which dropout, drop path and mixup use."""
    torch.manual_seed(epoch_seed(config, epoch) + rank)
    np.random.seed((epoch_seed(config, epoch) + rank) % 2**32)
