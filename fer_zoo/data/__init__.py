"""Faces with labels: FER-2013, FER+, a user's own folders, and transforms."""

from fer_zoo.data.augment import BatchAugment
from fer_zoo.data.dataset import FaceDataset
from fer_zoo.data.fer2013.dataset import FER2013
from fer_zoo.data.fer2013.ferplus import FERPlus, draw_labels, ferplus_targets
from fer_zoo.data.fer2013.leaks import LeakWarning
from fer_zoo.data.folder import FaceFolder, ListedFaces
from fer_zoo.data.given_names import parse_names
from fer_zoo.data.known import (
    JAFFE,
    KNOWN_DATASETS,
    RAFDB,
    SFEW,
    AffectNet,
    CKPlus,
    DividedFER2013,
    ExpW,
    FERPlusFolders,
    HuggingFaceFolder,
    KnownDataset,
)
from fer_zoo.data.lazy import LazyFaces
from fer_zoo.data.open_faces import open_data, open_faces
from fer_zoo.data.splits import cut_validation
from fer_zoo.data.transforms import create_transform

__all__ = [
    "FER2013",
    "JAFFE",
    "KNOWN_DATASETS",
    "RAFDB",
    "SFEW",
    "AffectNet",
    "BatchAugment",
    "CKPlus",
    "DividedFER2013",
    "ExpW",
    "FERPlus",
    "FERPlusFolders",
    "FaceDataset",
    "FaceFolder",
    "HuggingFaceFolder",
    "KnownDataset",
    "LazyFaces",
    "LeakWarning",
    "ListedFaces",
    "create_transform",
    "cut_validation",
    "draw_labels",
    "ferplus_targets",
    "open_data",
    "open_faces",
    "parse_names",
]
