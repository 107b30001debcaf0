"""Photographs of faces that scikit-image has inside: LFW's, and the portrait of an astronaut."""

import numpy as np
import pytest
from PIL import Image


def small_faces(n):
    """Faces of Labeled Faces in the Wild, gray, uint8 (48, 48)."""
    pixels = pytest.importorskip("skimage.data", reason="no scikit-image").lfw_subset()[:n]
    return [
        np.asarray(Image.fromarray((255 * face).astype(np.uint8)).resize((48, 48)))
        for face in pixels
    ]


def portrait():
    """The face of the astronaut, cut out as a detector would."""
    photo = pytest.importorskip("skimage.data", reason="no scikit-image").astronaut()
    return Image.fromarray(photo[60:190, 160:290])
