"""The training faces as one tensor on the device, and the batches drawn from it."""

import math
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from timm.data import Mixup
from torch import Tensor

from fer_zoo.data.dataset import FaceDataset
from fer_zoo.data.fer2013.ferplus import FERPlus, draw_labels, ferplus_targets
from fer_zoo.errors import ConfigError, DataError
from fer_zoo.preprocessing import Preprocessing
from fer_zoo.training.config import TrainConfig
from fer_zoo.training.distributed import World
from fer_zoo.training.objective import Batch


def epoch_seed(config: TrainConfig, epoch: int) -> int:
    """Returns the seed of all that is random in one epoch, so that resuming needs no state."""
    return config.seed * 100_003 + epoch


class Batches:
    """Draws augmented batches; the same ones for the same seed and epoch, on any processes.

    Mixup alone depends on how many there are: each process blends the faces of its part.

    Args:
        dataset: Training faces.
        config: Batch size, augmentation, mixup, sampling.
        world: Which part of each batch is this process's.
        preprocessing: What the model wants its input to be.

    Attributes:
        opinions: A teacher's logits (faces, num_classes) for all faces, or None; batches carry
            their part.

    Raises:
        DataError: If there are fewer faces than a batch takes.
        ConfigError: If the recipe wants other labels than the data set has, or FER+ votes and the
            data set has none.
    """

    def __init__(
        self,
        dataset: FaceDataset,
        config: TrainConfig,
        world: World,
        preprocessing: Preprocessing,
    ) -> None:
        if len(dataset) < config.batch_size:
            raise DataError(
                f"{len(dataset)} training faces do not fill one batch of {config.batch_size}; "
                "set a smaller --batch-size"
            )
        _check_labels(dataset, config)
        self.config, self.preprocessing = config, preprocessing
        self.augment = config.augment
        self.share = world.share(config.batch_size)
        if config.mixup and (self.share.stop - self.share.start) % 2:
            raise ConfigError(
                f"mixup blends pairs: batch_size {config.batch_size} must be even in each of "
                f"{world.size} processes"
            )
        self.labels = dataset.targets
        self.num_classes = len(dataset.label_names)
        self.images = dataset.images.to(world.device)
        self.targets = dataset.targets.to(world.device)
        self.opinions: Tensor | None = None
        self.votes: Tensor | None = None
        if config.ferplus:
            if dataset.votes is None:
                raise ConfigError(
                    "ferplus needs FER+ votes, and the data has none: put fer2013new.csv beside "
                    "the csv, or set ferplus = 0"
                )
            votes, voted = ferplus_targets(dataset.votes, "soft")
            self.votes, self.voted = votes.to(world.device), voted.to(world.device)

    def __len__(self) -> int:
        return len(self.labels) // self.config.batch_size

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yields the batches of one epoch, whose number sets the seed and the resolution."""
        config = self.config
        generator = torch.Generator().manual_seed(epoch_seed(config, epoch))
        size = config.input_size(epoch, self.preprocessing.size)
        device, steps, n = self.images.device, len(self), config.batch_size
        order = self.order(generator).to(device)
        targets = self.targets
        if config.ferplus_target == "pld":
            targets = draw_labels(self.labels, generator).to(device)
        # each process draws for all, so that its part is the same for any number of processes; and
        # for the whole epoch, as a copy to a GPU at each step would wait for the step before it
        draws = self.augment.draw(steps * n, generator).to(device)
        for step in range(steps):
            part = slice(step * n + self.share.start, step * n + self.share.stop)
            chosen = order[part]
            images = self.augment(self.images[chosen], draws[part], self.preprocessing, size)
            batch = Batch(images, targets[chosen])
            if self.votes is not None:
                batch.votes, batch.voted = self.votes[chosen], self.voted[chosen]
            if self.opinions is not None:
                batch.teacher = self.opinions[chosen]
            yield self.mix(batch) if config.mixup else batch

    def order(self, generator: torch.Generator) -> Tensor:
        """Returns the positions of one epoch's faces, shuffled, or balanced over classes."""
        n = len(self.labels)
        if not self.config.balanced:
            return torch.randperm(n, generator=generator)
        weights = 1 / torch.bincount(self.labels, minlength=self.num_classes).float()
        return torch.multinomial(weights[self.labels], n, replacement=True, generator=generator)

    def sample(self, n: int) -> tuple[Tensor, ...]:
        """Returns n faces as they are stored, or all there are, always the same ones.

        Args:
            n: How many.

        Returns:
            uint8 faces (N, H, W) in batches of at most 256, whose sizes differ by one at most.
        """
        generator = torch.Generator().manual_seed(self.config.seed)
        chosen = torch.randperm(len(self.labels), generator=generator)[:n]
        faces = self.images[chosen.to(self.images.device)]
        return faces.tensor_split(math.ceil(len(chosen) / 256))

    def plain(self, n: int) -> Iterator[Tensor]:
        """Yields these faces as the model's input, as validation sees faces."""
        for faces in self.sample(n):
            yield self.preprocessing.tensor(faces)

    def mix(self, batch: Batch) -> Batch:
        """Blends pairs of faces and, in the same proportion, all that is known of them."""
        n = len(batch.images)
        mixup = Mixup(mixup_alpha=self.config.mixup, label_smoothing=0.0, num_classes=n)
        # with the positions as classes, timm's targets are the (n, n) matrix that mixes any label
        images, matrix = mixup(batch.images, torch.arange(n, device=batch.images.device))
        targets = batch.targets
        if targets.ndim == 1:
            targets = F.one_hot(targets, self.num_classes).float()
        mixed = Batch(images, matrix @ targets)
        if batch.votes is not None and batch.voted is not None:
            mixed.votes = matrix @ batch.votes
            mixed.voted = (matrix @ (~batch.voted).float()) == 0
        if batch.teacher is not None:
            # softened as the loss softens them, which then finds the blend of both distributions
            heat = self.config.temperature
            mixed.teacher = heat * (matrix @ (batch.teacher / heat).softmax(dim=1)).log()
        return mixed


def _check_labels(dataset: FaceDataset, config: TrainConfig) -> None:
    given = dataset.target if isinstance(dataset, FERPlus) else ""
    wanted = config.ferplus_target if config.labels == "ferplus" else ""
    if given != wanted:
        fitting = f"FERPlus(..., target={wanted!r})" if wanted else "one that is no FERPlus"
        settings = f"labels = ferplus, ferplus_target = {given}" if given else "labels = fer2013"
        raise ConfigError(
            f"the recipe has labels = {config.labels}, ferplus_target = {config.ferplus_target}: "
            f"give it {fitting}, or set {settings} for this data set"
        )


def seed_everything(config: TrainConfig, epoch: int, rank: int) -> None:
    """Seeds what draws without a generator of its own: dropout, drop path, timm's Mixup."""
    torch.manual_seed(epoch_seed(config, epoch) + rank)
    np.random.seed((epoch_seed(config, epoch) + rank) % 2**32)
