"""Data sets that are known by their layout, one file each."""

from fer_zoo.data.known.affectnet import AffectNet
from fer_zoo.data.known.ck_plus import CKPlus
from fer_zoo.data.known.expw import ExpW
from fer_zoo.data.known.ferplus_folders import FERPlusFolders
from fer_zoo.data.known.hugging_face import HuggingFaceFolder
from fer_zoo.data.known.jaffe import JAFFE
from fer_zoo.data.known.kaggle_fer2013 import DividedFER2013
from fer_zoo.data.known.known_dataset import KnownDataset
from fer_zoo.data.known.raf_db import RAFDB
from fer_zoo.data.known.sfew import SFEW

#: The data sets that are known by their layout, in the order in which they are tried.
KNOWN_DATASETS: tuple[type[KnownDataset], ...] = (
    *(RAFDB, AffectNet, ExpW, FERPlusFolders, HuggingFaceFolder, CKPlus, JAFFE, SFEW),
    DividedFER2013,
)

__all__ = [
    "JAFFE",
    "KNOWN_DATASETS",
    "RAFDB",
    "SFEW",
    "AffectNet",
    "CKPlus",
    "DividedFER2013",
    "ExpW",
    "FERPlusFolders",
    "HuggingFaceFolder",
    "KnownDataset",
]
