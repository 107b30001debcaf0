"""Names the expressions of the faces in a video, frame by frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_zoo.errors import FerZooError
from fer_zoo.inference.base_predictor import BasePredictor, check_whole
from fer_zoo.inference.detection import FaceDetector, make_detector
from fer_zoo.video.camera import CameraReader
from fer_zoo.video.following import FaceFollower, PlacedFrame, Recorded
from fer_zoo.video.frames import Frame, FrameReader, TrackedFace, VideoFrame
from fer_zoo.video.reader import VideoReader
from fer_zoo.video.smoothing import ExponentialSmoothing

if TYPE_CHECKING:
    from fer_zoo.inference.prediction import Prediction

#: Frames that are in memory at once have so many pixels together, and are no more than so many.
_PIXELS, _FRAMES = 32_000_000, 64


class VideoPredictor:
    """Predicts the faces of videos and cameras.

    Faces are looked for in every ``detect_every``-th frame and followed from one such frame to the
    next; in the frames between, the boxes of faces that both have are interpolated by time. The
    crops of several frames are computed in one batch. The probabilities of each face are smoothed
    over time, see :class:`fer_zoo.video.ExponentialSmoothing`.

    Args:
        predictor: A :class:`fer_zoo.Predictor` or :class:`fer_zoo.runtime.Predictor`; or the name
            or folder of a model, or the file of an export. Its detector finds the faces; where it
            has none, MTCNN does.
        detect_every: Frames from one detection to the next, of those that are predicted; 1 looks
            for faces in each. Detections are no more than a second apart, if frames are not.
        skip_frames: Frames that are left out after each that is predicted.
        smooth: Time constant of the smoothing in seconds; 0 does not smooth.

    Raises:
        ConfigError: If a value cannot be meant.
        MissingDependencyError: If the detector is not installed.

    Example:
        >>> from fer_zoo import Predictor, create_model
        >>> from fer_zoo.inference.detection import Face
        >>> still = lambda image: [Face((10, 10, 58, 58), 1.0)]
        >>> predictor = VideoPredictor(Predictor(create_model("vgg_nano"), detector=still))
        >>> frames = [Frame(i, i / 25, i, lambda: np.zeros((90, 120, 3), np.uint8)) for i in (0, 1)]
        >>> [[face.track for face in frame.faces] for frame in predictor.video(frames)]
        [[1], [1]]
    """

    def __init__(
        self,
        predictor: BasePredictor[Any] | str | Path = "dacl",
        *,
        detect_every: int = 5,
        skip_frames: int = 0,
        smooth: float = 0.3,
    ) -> None:
        check_whole("detect_every", detect_every, 1)
        check_whole("skip_frames", skip_frames, 0)
        ExponentialSmoothing(smooth)  # a wrong value shows now
        self.detect_every, self.skip_frames, self.smooth = detect_every, skip_frames, smooth
        self.predictor = _opened(predictor)
        self.detector: FaceDetector = self.predictor.detector or _mtcnn()

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.predictor.label_names

    def video(
        self,
        source: str | Path | int | Iterable[Frame],
        *,
        recorded: Recorded | None = None,
        all_frames: bool = False,
    ) -> Iterator[VideoFrame]:
        """Predicts a video lazily; only a few frames are in memory at a time.

        Args:
            source: A file, a URL, the number of a camera, or frames such as an open
                :class:`fer_zoo.video.VideoReader`, which the caller closes.
            recorded: Faces of frames that are done already; they are not computed again.
            all_frames: Whether the frames that ``skip_frames`` leaves out come too, with the faces
                of the last frame before.

        Yields:
            The frames in order, each with its faces. Of a camera they come ``detect_every`` frames
            late, as the boxes between two detections need both.

        Raises:
            VideoError: If the source is no video.
        """
        naming = _Naming(self.predictor, ExponentialSmoothing(self.smooth), recorded or {})
        with ExitStack() as opened:
            if isinstance(source, (str, Path, int)):
                source = opened.enter_context(open_video(source))
            live = isinstance(source, CameraReader)  # whose frames are wanted at once
            follower = FaceFollower(
                self.detector,
                self.detect_every,
                self.skip_frames,
                recorded,
                0 if live else self.predictor.workers,
            )
            windows = follower.windows(source)
            if not live:
                windows = _gathered(windows, self.predictor.batch_size)
            for window in windows:
                for found in naming(window):
                    if all_frames or not found.skipped:
                        yield found


class _Naming:
    """Names the expressions in the frames of one video."""

    def __init__(
        self, predictor: BasePredictor[Any], smoothing: ExponentialSmoothing, recorded: Recorded
    ) -> None:
        self.predictor, self.smoothing, self.recorded = predictor, smoothing, recorded
        self.faces: list[TrackedFace] = []  # of the last frame that was looked at

    def __call__(self, placed: list[PlacedFrame]) -> Iterator[VideoFrame]:
        """Yields frames with their faces; all crops that are new are computed together."""
        new = [p for p in placed if p.boxes and p.frame.index not in self.recorded]
        found = self.predictor.stream(
            (p.frame.picture for p in new), ([*(p.boxes or {}).values()] for p in new)
        )
        results = dict(zip((p.frame.index for p in new), found, strict=True))
        for p in placed:
            if p.boxes is not None:
                self.faces = self._faces(p, results.get(p.frame.index, []))
            yield VideoFrame(p.frame, self.faces, skipped=p.boxes is None)

    def _faces(
        self, placed: PlacedFrame, found: list[Prediction] | FerZooError
    ) -> list[TrackedFace]:
        frame = placed.frame
        if isinstance(found, FerZooError):
            raise found
        if (known := self.recorded.get(frame.index)) is not None:
            for face in known:
                self.smoothing.restore(face.track, frame.time, _values(face))
            return list(known)
        pairs = zip(placed.boxes or {}, found, strict=True)
        return [self._smoothed(frame.time, track, face) for track, face in pairs]

    def _smoothed(self, time: float, track: int, face: Prediction) -> TrackedFace:
        shares = self.smoothing(track, time, _values(face)).tolist()
        named = dict(zip(face.probabilities, shares, strict=True))
        label = max(named, key=named.__getitem__)
        return TrackedFace(label, named[label], named, face.box, warning=face.warning, track=track)


def open_video(source: str | Path | int) -> FrameReader:
    """Opens a file or a URL, or a camera by its number.

    Raises:
        VideoError: If it is no video, or there is no such camera.
    """
    return CameraReader(source) if isinstance(source, int) else VideoReader(source)


def _gathered(windows: Iterable[list[PlacedFrame]], batch_size: int) -> Iterator[list[PlacedFrame]]:
    """Joins windows until they have the faces of a batch, or enough pixels."""
    waiting: list[PlacedFrame] = []
    for window in windows:
        waiting += window
        faces = sum(len(placed.boxes or ()) for placed in waiting)
        pixels = len(waiting) * waiting[0].frame.image.size // 3
        if faces >= batch_size or pixels >= _PIXELS or len(waiting) >= _FRAMES:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def _values(face: Prediction) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([*face.probabilities.values()], dtype=np.float64)


def _mtcnn() -> FaceDetector:
    detector = make_detector(True)
    assert detector is not None  # for mypy
    return detector


def _opened(predictor: BasePredictor[Any] | str | Path) -> BasePredictor[Any]:
    if isinstance(predictor, BasePredictor):
        return predictor
    from fer_zoo.exported_files import is_export

    if is_export(predictor):
        from fer_zoo.runtime import Predictor

        return Predictor(predictor)
    from fer_zoo.inference.predictor import Predictor as TorchPredictor

    return TorchPredictor(predictor)
