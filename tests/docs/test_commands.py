"""Every command and Python block that README and docs show runs, in a folder of synthetic faces.

What would take hours, or reach outside this folder, is changed here and nowhere else: ``SHORTER``
adds flags to commands, ``REPLACED`` changes words of Python blocks, and ``SKIPPED`` says why a line
does not run.
"""

import dataclasses
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tarfile
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from service_clients import commanded
from synthetic_files import write_csv, write_votes
from videos import write_video

import fer_zoo
from fer_zoo.cli import build_parser, main
from fer_zoo.training import TrainConfig, load_config, recipe_of

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
pytestmark = [
    pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="no docs beside the tests"),
    pytest.mark.filterwarnings("ignore::fer_zoo.data.LeakWarning"),
]

#: Flags added to commands that begin so; the last of two equal flags counts.
TRAIN = (
    "--epochs 1 --warmup-epochs 0 --batch-size 14 --img-sizes [[0,32]] --batch-norm-faces 7 --quiet"
)
SHORTER = {
    "fer-zoo train --pretrained dacl --data faces": f"{TRAIN} --batch-size 4",
    "fer-zoo train": TRAIN,
    "fer-zoo bench": "--steps 1 --batch-size 4",
    "fer-zoo publish --dry-run": "vgg_small",
    "python examples/report_rows.py": "--rows 14 --epochs 1 --batch-size 14",
    "python examples/imagenet_start.py": "--epochs 1 --batch-size 14 --img-size 32",
    "python examples/train_zoo.py": "--only vgg_nano --epochs 1 --batch-size 14",
    "python examples/service/load_test.py": "--clients 1 4 --requests 20 --hostile 8",
}
#: Beginnings of commands that do not run, and why.
SKIPPED = {
    "pip install": "it installs; .ci/run does it",
    "uv ": "it installs",
    "oldest/bin/python": "it needs the environment of the line before",
    "pytest": "it is this test",
    "ruff": ".ci/run does it",
    "mypy": ".ci/run does it",
    "python docs/tools/generate.py": "test_docs.py does it",
    "python docs/tools/embed.py": "it writes into the package",
    "python docs/tools/measure_video.py": "test_measure_video.py does it, for shorter",
    "fer-zoo video 0": "it needs a camera; tests/cli/test_video_command.py has one",
    "python tests/faults/": "test_faults.py does it, for shorter",
    "sudo ": "it needs root",
    "python -m pytest": "it needs a GPU",
    "bash docs/tools/train_on_gpu.sh": "it needs a GPU",
    "fer-zoo train toy": "test_contributing.py does it",
    "torchrun": "tests/training does it",
    "fer-zoo demo": "tests/demo does it",
    "fer-zoo publish --to": "it uploads; tests/publishing does it with a server",
    "python -m mkdocs": "test_site.py does it",
}
#: Beginnings of commands that need a module, without which they do not run.
NEEDS = {"python examples/predict_with_ray.py": "ray", "fer-zoo serve": "fastapi"}
#: Commands that the fixture ``services`` runs.
SERVICE = re.compile("fer-zoo serve|curl ")
#: Words of Python blocks, and what stands in their place.
REPLACED = {"epochs=60": "epochs=1, batch_size=14, img_sizes=[[0, 32]], batch_norm_faces=7"}
#: Words of Python blocks that do not run, and why.
SKIPPED_PYTHON = {
    "push_to_hub": "it needs the network; test_hub.py does it with a server",
    "fer_toy": "test_contributing.py does it",
}


def blocks(page, language):
    """Returns the blocks of a page and the lines that they begin at."""
    text = page.read_text()
    found = re.finditer(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [(text[: match.start(1)].count("\n") + 1, match[1]) for match in found]


def cases(language):
    return [
        pytest.param(text, id=f"{page.name}:{line}")
        for page in PAGES
        for line, text in blocks(page, language)
    ]


def commands(text):
    """Returns the commands of a block, as lists of words."""
    lines = [shlex.split(line, comments=True) for line in text.splitlines()]
    words = [word for line in lines if line for word in [*line, "&&"]]
    found = [[]]
    for word in words:
        if word == "&&":
            found.append([])
        else:
            found[-1].append(word)
    return [command for command in found if command]


def beginning(table, command):
    """Returns the first key of a table that a command begins with."""
    return next((key for key in table if " ".join([*command, ""]).startswith(key)), None)


ALL = [
    command for page in PAGES for _, text in blocks(page, "console") for command in commands(text)
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, synthetic_faces):
    """The files that the pages speak of: 28 faces to train on, 14 of val and 7 of test."""
    root = tmp_path_factory.mktemp("reader")
    faces = synthetic_faces
    chosen = np.concatenate(
        [np.flatnonzero(faces.usage == usage)[:n]
         for usage, n in (("Training", 28), ("PublicTest", 14), ("PrivateTest", 7))]
    )  # fmt: skip
    few = SimpleNamespace(**{name: column[chosen] for name, column in vars(faces).items()})
    for folder in (root, root / "data"):
        write_csv(folder / "fer2013.csv", few)
        write_votes(folder / "fer2013new.csv", few)
    portrait = pytest.importorskip("skimage.data").astronaut()
    for name in ("photo.jpg", "party.jpg", "album/a.jpg", "album/deeper/b.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(portrait).save(root / name)
    first, second = (Image.fromarray(face) for face in few.pixels[:2])
    first.save(root / "clip.gif", save_all=True, append_images=[second])
    for path in ["face.png", *(f"faces/{part}/{label}/{i}.png" for part in ("train", "val")
                               for label in ("bored", "amused") for i in range(2))]:  # fmt: skip
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(few.pixels[0]).save(root / path)
    pytest.importorskip("av")
    write_video(root / "party.mp4", [portrait[:360]] * 12)
    for i, (face, label) in enumerate(zip(few.pixels, ["bored", "tired"] * 20, strict=False)):
        (root / "own" / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(face).save(root / "own" / label / f"{i // 2}.png")
    (root / "shards").mkdir()
    with tarfile.open(root / "shards" / "0.tar", "w") as tar:
        tar.add(root / "face.png", "0.png")
    np.save(root / "out_of_fold.npy", np.full((28, 7), 1 / 7))
    (root / "examples").symlink_to(ROOT / "examples")
    return root


@pytest.fixture
def reader(prepared, tmp_path, monkeypatch):
    """A fresh copy of these files, which is the working directory."""
    shutil.copytree(prepared, tmp_path / "work", symlinks=True)
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("FER_ZOO_EXPORTS", str(tmp_path / "exports"))


def make_runs(words):
    """Ships as a run what a command takes from an earlier block, such as ``runs/vgg``."""
    for name in re.findall(r"(?<!--out )\bruns/(\w+)", words):
        if not (folder := Path("runs", name)).exists():
            model = name.removesuffix("_ferplus")
            fer_zoo.save_pretrained(fer_zoo.create_model(model, pretrained=True), folder)


def check_settings(args):
    """The settings as shown must not contradict those of the recipe; a shorter run may hide it."""
    names = {f.name for f in dataclasses.fields(TrainConfig)} - {"model"}
    settings = {name: getattr(args, name) for name in names}
    recipe = args.recipe or (args.model and recipe_of(args.model))
    load_config(recipe, **settings | ({"model": args.model} if args.model else {}))


@pytest.fixture
def services():
    """Runs commands of the service: ``fer-zoo serve`` on a free port, and ``curl`` there."""
    ports = []

    def run(command):
        if command[0] == "curl":
            if shutil.which("curl") is None:
                pytest.skip("no curl")
            words = [word.replace(":8000", f":{ports[-1]}") for word in command]
            subprocess.run([*words, "--fail", "--silent", "--show-error"], check=True, timeout=60)
        else:
            ports.append(running.enter_context(commanded(command[2:])))

    with ExitStack() as running:
        yield run


def run(command):
    """Runs a command in this process."""
    added = beginning(SHORTER, command)
    shorter = SHORTER[added].split() if added else []
    if command[0] == "fer-zoo":
        args = build_parser().parse_args(command[1:])
        if command[1] == "train":
            check_settings(args)
        assert main([*command[1:], *shorter]) == 0
    elif beginning(NEEDS, command):  # Ray warns of itself
        subprocess.run([sys.executable, *command[1:]], check=True, timeout=300)
    else:
        assert command[0] == "python", f"neither run nor skipped: {command}"
        runpy.run_path(command[1])["main"]([*command[2:], *shorter])


@pytest.mark.parametrize("text", cases("console"))
def test_commands_run(text, reader, services, capsys):
    found = commands(text)
    wanted = [command for command in found if not beginning(SKIPPED, command)]
    for command in wanted:
        if (needed := NEEDS.get(beginning(NEEDS, command))) and find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed")
        make_runs(" ".join(command))
        (services if SERVICE.match(" ".join(command)) else run)(command)
    if not wanted:
        pytest.skip("; ".join(sorted({SKIPPED[beginning(SKIPPED, c)] for c in found})))


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: p.name)
def test_python_blocks_run(page, reader, capsys):
    names = {}  # a reader goes from block to block
    for line, text in blocks(page, "python"):
        if not any(words in text for words in SKIPPED_PYTHON):
            make_runs(text)
            for words, instead in REPLACED.items():
                text = text.replace(words, instead)
            exec(compile("\n" * line + text, str(page), "exec"), names)


def test_commands_in_sentences_parse():
    for page in PAGES:
        for text in re.findall(r"`(fer-zoo [^`]* --[^`]*)`", page.read_text()):
            if text.split()[-1] != "--help":
                words = shlex.split(text)[1:]
                if words[0] == "train":  # sentences leave out --data and --out
                    check_settings(build_parser().parse_args([*words, "--data", "x", "--out", "y"]))
                else:
                    build_parser().parse_args(words)


def test_the_exceptions_are_few_and_used():
    unused = set(SKIPPED) - {beginning(SKIPPED, command) for command in ALL}
    unused |= set(SHORTER) - {beginning(SHORTER, command) for command in ALL}
    text = "\n".join(text for page in PAGES for _, text in blocks(page, "python"))
    unused |= {words for words in (*REPLACED, *SKIPPED_PYTHON) if words not in text}
    assert not unused
    ours = [key for key in SKIPPED if key.startswith(("fer-zoo", "python examples"))]
    assert ours == ["fer-zoo video 0", "fer-zoo train toy", "fer-zoo demo", "fer-zoo publish --to"]
    assert ["fer-zoo", "bench"] in ALL
