"""Faces in videos and webcams: read, tracked, predicted, smoothed, written; imports no torch.

``reader`` and ``camera`` give frames; ``following`` finds the faces in some of them, ``tracking``
knows them again, ``predictor`` names their expressions, ``smoothing`` averages these over time;
``writer``, ``timeline`` and ``window`` show what was found.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fer_zoo.video.camera import CameraReader
    from fer_zoo.video.frames import Frame, TrackedFace, VideoFrame
    from fer_zoo.video.predictor import VideoPredictor
    from fer_zoo.video.reader import VideoReader
    from fer_zoo.video.smoothing import ExponentialSmoothing
    from fer_zoo.video.timeline import Timeline
    from fer_zoo.video.tracking import IouTracker
    from fer_zoo.video.writer import VideoWriter

_LAZY = {
    "CameraReader": "camera",
    "ExponentialSmoothing": "smoothing",
    "Frame": "frames",
    "IouTracker": "tracking",
    "Timeline": "timeline",
    "TrackedFace": "frames",
    "VideoFrame": "frames",
    "VideoPredictor": "predictor",
    "VideoReader": "reader",
    "VideoWriter": "writer",
}

__all__ = [
    "CameraReader",
    "ExponentialSmoothing",
    "Frame",
    "IouTracker",
    "Timeline",
    "TrackedFace",
    "VideoFrame",
    "VideoPredictor",
    "VideoReader",
    "VideoWriter",
]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'fer_zoo.video' has no attribute {name!r}")
    return getattr(importlib.import_module(f"fer_zoo.video.{_LAZY[name]}"), name)
