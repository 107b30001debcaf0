"""Faces with labels: FER-2013, FER+, a user's own folders, and transforms."""

from fer_zoo.data.affectnet import AffectNet
from fer_zoo.data.augment import BatchAugment
from fer_zoo.data.ck_plus import CKPlus
from fer_zoo.data.dataset import FaceDataset
from fer_zoo.data.expw import ExpW
from fer_zoo.data.fer2013.dataset import FER2013
from fer_zoo.data.fer2013.ferplus import FERPlus, draw_labels, ferplus_targets
from fer_zoo.data.fer2013.leaks import LeakWarning
from fer_zoo.data.ferplus_folders import FERPlusFolders
from fer_zoo.data.folder import FaceFolder, ListedFaces
from fer_zoo.data.hugging_face import HuggingFaceFolder
from fer_zoo.data.jaffe import JAFFE
from fer_zoo.data.kaggle_fer2013 import DividedFER2013
from fer_zoo.data.known import KnownDataset
from fer_zoo.data.lazy import LazyFaces
from fer_zoo.data.listing import parse_names
from fer_zoo.data.open_faces import KNOWN_DATASETS, open_data, open_faces
from fer_zoo.data.raf_db import RAFDB
from fer_zoo.data.sfew import SFEW
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
