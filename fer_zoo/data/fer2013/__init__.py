"""FER-2013 and FER+ in the layouts that users have."""

from fer_zoo.data.fer2013.dataset import FER2013, OFFICIAL_FACES
from fer_zoo.data.fer2013.ferplus import FERPlus, draw_labels, ferplus_targets
from fer_zoo.data.fer2013.leaks import LeakWarning

__all__ = [
    "FER2013",
    "OFFICIAL_FACES",
    "FERPlus",
    "LeakWarning",
    "draw_labels",
    "ferplus_targets",
]
