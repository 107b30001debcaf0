import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic_files import write_csv

import fer_zoo
from fer_zoo.data import FER2013
from fer_zoo.data.fer2013 import layouts
from fer_zoo.data.fer2013.csv_reader import read_csv
from fer_zoo.errors import DataError

pytestmark = [
    pytest.mark.filterwarnings("ignore::fer_zoo.data.LeakWarning"),
    pytest.mark.usefixtures("no_pauses"),
]

FACE = " ".join(["7"] * 2304)
ODD = FACE.replace("7 7 7", "007 7\t7")


def test_train_csv_of_the_competition_has_training_only(tmp_path, synthetic_faces):
    quoted = [
        f'{c},"{" ".join(map(str, p.ravel()))}"\n'
        for p, c in zip(synthetic_faces.pixels[:9], synthetic_faces.emotion[:9], strict=True)
    ]
    (tmp_path / "train.csv").write_text("emotion,pixels\n" + "".join(quoted))
    (tmp_path / "test.csv").write_text(f'pixels\n"{FACE}"\n')
    data = FER2013(tmp_path)
    assert np.array_equal(data.images.numpy(), synthetic_faces.pixels[:9])
    assert data.targets.tolist() == synthetic_faces.emotion[:9].tolist()
    for split in ("val", "test"):
        with pytest.raises(DataError, match=r"train\.csv has no P.*test\.csv .* has no labels"):
            FER2013(tmp_path, split)
    for root in (tmp_path / "test.csv", tmp_path):
        (tmp_path / "train.csv").unlink(missing_ok=True)
        with pytest.raises(DataError, match=r"test\.csv has pixels but no labels"):
            FER2013(root)


def test_csv_values_are_exact_over_block_borders():
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (131, 48, 48))
    pixels[0].flat[:256] = np.arange(256)
    lines = [b"emotion,pixels,Usage\n"]
    for i, face in enumerate(pixels):
        lines.append(f"{i % 7},{' '.join(map(str, face.ravel()))},Training\n".encode())
    table = read_csv(io.BytesIO(b"".join(lines)), "x")
    assert table.pixels.dtype == np.uint8 and np.array_equal(table.pixels, pixels)
    assert table.emotion.tolist() == [i % 7 for i in range(131)]
    assert table.row.tolist() == list(range(131))


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeffemotion,pixels,Usage\r\n3,{FACE},Training\r\n",
        f'"emotion","pixels","Usage"\n"3","{FACE}","Training"\n',
        f"Emotion , Pixels,usage\n\n3, {FACE} ,TRAINING\n\n",
        f"Usage,pixels,emotion\nTraining,{FACE.replace(' ', '  ')},3",
        f"emotion,pixels,Usage\n3,{ODD},Training",
        f"emotion,id,pixels,Usage\n3,x-1,{FACE},Training",
        f'\ufeff"emotion","who, when","pixels","Usage"\r\n3,"x, ""1""\n2", "{FACE}",Training\r\n',
        f"emotion,pixels,Usage\r3,{FACE},Training\r",
        f"emotion,pixels,Usage,wer\n3,{FACE},Training,J\xfcrgen",
    ],
    ids=["bom-crlf", "quoted", "blanks", "double", "zeros-tabs", "columns", "commas", "cr", "text"],
)
def test_odd_spellings_of_the_same_csv_are_read(tmp_path, text):
    (tmp_path / "fer2013.csv").write_bytes(text.encode())
    data = FER2013(tmp_path)
    assert data.images.unique().tolist() == [7] and data.targets.tolist() == [3]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"3,{FACE[:-2]},Training", "line 72: 2,303 pixels where a 48x48 face has 2,304"),
        (f"3,{FACE} 7,Training", "line 72: 2,305 pixels"),
        ("3,,Training", "line 72: 0 pixels"),
        (f"3,256{FACE[1:]},Training", "line 72: pixel 0 is '256', not a whole number in 0..255"),
        (f"3,{FACE[:-1]}1000,Training", "line 72: pixel 2303 is '1000'"),
        (f"3,7 300{FACE[3:]},Training", "line 72: pixel 1 is '300'"),
        (f"3,-1{FACE[1:]},Training", "line 72: pixel 0 is '-1'"),
        (f"3,0.5{FACE[1:]},Training", "line 72: pixel 0 is '0.5'"),
        (f"3,7x{FACE[1:]},Training", "line 72: pixel 0 is '7x'"),
        (f"3,{'9' * 5000}{FACE[1:]},Training", "line 72: pixel 0 is '9999"),
        (f"7,{FACE},Training", "line 72: unknown emotion 7; there are 0 angry, 1 disgust"),
        (f"-1,{FACE},Training", "line 72: emotion is '-1', not a code 0-6"),
        (f"happy,{FACE},Training", "line 72: emotion is 'happy'"),
        (f",{FACE},Training", "line 72: emotion is ''"),
        (f"3,{FACE},Validation", "line 72: unknown Usage 'Validation'; expected Training, PublicT"),
        (f"3,{FACE}", "line 72: 2 columns where the header has 3"),
        (FACE, "line 72: 1 columns"),
        (f"3,{FACE},Training,", "line 72: 4 columns"),
        (f'3,"{FACE},Training', "line 72: field larger than field limit"),
        (f"3,{FACE[:-1]}\u0667,Training", "line 72: pixel 2303 is '\u0667', not a whole number"),
        (f"99999999999999999999,{FACE},Training", "line 72: emotion is '9999"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, row, message):
    good = f"3,{FACE},Training\n"
    path = tmp_path / "fer2013.csv"
    path.write_text("emotion,pixels,Usage\n" + good * 70 + row + "\n" + good * 70)
    with pytest.raises(DataError) as caught:
        FER2013(tmp_path)
    assert str(caught.value).startswith(f"{path}, {message}")
    assert not (tmp_path / "fer2013.csv.cache.npz").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lacks the columns emotion and pixels: its first line is ''"),
        ("\x00\xff\xfe", "lacks the columns"),
        (f"pixels,Usage\n{FACE},Training\n", "lacks the column emotion: its first line is 'pixels"),
        ("emotion,Usage\n3,Training\n", "lacks the column pixels"),
        ("emotion,pixels,Usage\n", "has a header but no faces"),
        (f"emotion,pixels,Usage\n3,{FACE},Training\n", "has no PublicTest faces, only Training 1"),
    ],
)
def test_a_wrong_csv_is_told(tmp_path, text, message):
    (tmp_path / "fer2013.csv").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        FER2013(tmp_path, "val")
    assert str(tmp_path / "fer2013.csv") in str(caught.value)


# --- cache


@pytest.fixture
def csv_root(tmp_path, synthetic_faces):
    return write_csv(tmp_path / "data" / "fer2013.csv", synthetic_faces).parent


def test_the_cache_spares_reading_the_csv(csv_root, monkeypatch):
    first = FER2013(csv_root, "val")
    assert (csv_root / "fer2013.csv.cache.npz").exists()
    assert len(list(csv_root.iterdir())) == 2
    monkeypatch.setattr(layouts, "read_csv", None)
    again = FER2013(csv_root, "val")
    assert torch.equal(first.images, again.images) and torch.equal(first.targets, again.targets)
    assert torch.equal(first.rows, again.rows) and first.source == again.source
    with pytest.raises(TypeError):  # so the csv would be read
        FER2013(csv_root, "val", cache=False)


@pytest.mark.parametrize("change", ["content", "time", "damaged", "empty", "pickle", "folder"])
def test_a_stale_or_damaged_cache_is_not_used(csv_root, synthetic_faces, change):
    before = FER2013(csv_root, "val")
    path, cache = csv_root / "fer2013.csv", csv_root / "fer2013.csv.cache.npz"
    if change == "content":
        path.write_text(f"emotion,pixels,Usage\n3,{FACE},PublicTest\n")
    elif change == "time":
        text = path.read_text().splitlines(keepends=True)
        text[-22], text[-23] = text[-23], text[-22]
        path.write_text("".join(text))
        os.utime(path, ns=(1, 1))
    elif change == "damaged":
        cache.write_bytes(cache.read_bytes()[:-3000])
    elif change == "empty":
        cache.write_bytes(b"")
    elif change == "pickle":
        with cache.open("wb") as file:
            np.save(file, np.array([{}], dtype=object), allow_pickle=True)
    else:
        cache.unlink()
        cache.mkdir()
    after = FER2013(csv_root, "val")
    fresh = FER2013(csv_root, "val", cache=False)
    assert torch.equal(after.images, fresh.images)
    assert torch.equal(after.images, before.images) == (change not in ("content", "time"))


def test_a_folder_that_cannot_be_written_is_no_error(csv_root, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError("read-only")

    monkeypatch.setattr(np, "savez", refuse)
    assert len(FER2013(csv_root, "val")) == 28
    assert [p.name for p in csv_root.iterdir()] == ["fer2013.csv"]


CACHE = """
import hashlib, sys, time, warnings
from pathlib import Path
from fer_zoo.data import FER2013

warnings.simplefilter("ignore")
root, me = Path(sys.argv[1]), sys.argv[2]
(root / f"ready-{me}").touch()
while len(list(root.glob("ready-*"))) < 2:
    time.sleep(0.001)
found = set()
for _ in range(12):
    (root / "data" / "fer2013.csv.cache.npz").unlink(missing_ok=True)
    for _ in range(2):
        faces = FER2013(root / "data", "val")
        found.add(hashlib.sha256(faces.images.numpy().tobytes()).hexdigest())
print(*found)
"""


def test_two_processes_write_the_cache_at_once(csv_root, synthetic_faces):
    command = [sys.executable, "-c", CACHE, str(csv_root.parent)]
    environment = {**os.environ, "PYTHONPATH": str(Path(fer_zoo.__file__).parents[1])}
    reading = [
        subprocess.Popen([*command, me], env=environment, stdout=subprocess.PIPE, text=True)
        for me in "ab"
    ]
    expected = hashlib.sha256(synthetic_faces.pixels[84:112].tobytes()).hexdigest()
    assert [p.communicate(timeout=120)[0].split() for p in reading] == [[expected]] * 2
    names = sorted(p.name for p in csv_root.iterdir())
    assert names == ["fer2013.csv", "fer2013.csv.cache.npz"]


def test_without_cache_nothing_is_written(csv_root):
    FER2013(csv_root, "val", cache=False)
    assert [p.name for p in csv_root.iterdir()] == ["fer2013.csv"]
