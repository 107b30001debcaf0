import re

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from fer_zoo.cli import main
from fer_zoo.errors import ConfigError
from fer_zoo.evaluation.plots import save_confusion, save_corruptions, save_curves, save_roc
from fer_zoo.figures import COLUMN, FORMATS, PALETTE, check_format, figure, wrap_title

#: Red, green and blue of light as people see it who lack one kind of cone (Machado et al. 2009,
#: doi:10.1109/TVCG.2009.113, severity 1).
VISIONS = {
    "usual": np.eye(3),
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


def seen(colors, vision):
    """Colours as someone sees them, in an even space (Oklab)."""
    rgb = np.array([to_rgb(color) for color in colors])
    light = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    light = (light @ np.array(VISIONS[vision]).T).clip(0, 1)
    to_cones = [[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]]
    to_lab = [[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]]
    return np.cbrt(light @ np.array(to_cones).T) @ np.array(to_lab).T


def least_distance(colors, vision):
    lab = seen(colors, vision)
    distances = np.linalg.norm(lab[:, None] - lab, axis=-1)
    return distances[np.triu_indices(len(lab), 1)].min()


def test_colours_differ_for_all_eyes():
    tab10 = [f"C{i}" for i in range(8)]
    for vision in VISIONS:
        assert least_distance(PALETTE, vision) > 0.07, vision
    assert min(least_distance(tab10, vision) for vision in VISIONS) < 0.03  # the usual ones do not


def drawings(folder, form):
    rng = np.random.default_rng(0)
    names = [f"class {i}" for i in range(10)]  # more than colours
    targets = np.arange(200) % 10
    probabilities = rng.dirichlet(np.ones(10), 200)
    records = [
        {"epoch": i, **dict.fromkeys(("train_loss", "val_loss"), 1 / (i + 1)),
         **dict.fromkeys(("train_accuracy", "val_accuracy"), i / 10)}
        for i in range(3)
    ]  # fmt: skip
    save_confusion(folder / f"c.{form}", np.eye(7, dtype=int), names[:7], "dacl, 100 %")
    save_roc(folder / f"r.{form}", probabilities, targets, names, "dacl")
    save_curves(folder / f"u.{form}", records, "dacl")
    save_corruptions(folder / f"o.{form}", {"jpeg": [0.5] * 5}, 0.7, "dacl")
    return {name: folder / f"{name}.{form}" for name in "cruo"}


@pytest.mark.parametrize("form", FORMATS)
def test_pictures_fit_a_column_and_are_the_same_each_time(tmp_path, form):
    before = dict(matplotlib.rcParams)
    first, again = (drawings(tmp_path / part, form) for part in ("a", "b"))
    assert dict(matplotlib.rcParams) == before
    for name, path in first.items():
        content = path.read_bytes()
        assert content == again[name].read_bytes()
        if form == "png":
            with Image.open(path) as image:
                assert image.width == round(300 * COLUMN) and np.asarray(image).std() > 5
        elif form == "pdf":
            width = re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", content)[1]
            assert float(width) == pytest.approx(72 * COLUMN) and b"/Type3" not in content
        else:
            width = re.search(rb'<svg[^>]* width="([\d.]+)pt"', content)[1]
            assert float(width) == pytest.approx(72 * COLUMN) and b"dacl" in content


def test_a_figure_that_fails_is_not_written(tmp_path):
    with pytest.raises(ZeroDivisionError), figure(tmp_path / "a.png", 1):
        _ = 1 / 0
    with pytest.raises(ConfigError, match=r"must end in \.png, \.pdf, \.svg"):
        check_format(tmp_path / "a.bmp")
    with pytest.raises(ConfigError, match="must end in"), figure(tmp_path / "a", 1):
        pass
    assert not list(tmp_path.iterdir())


def test_long_titles_are_broken():
    lines = wrap_title("word " * 40 + "\nsecond").splitlines()
    assert max(map(len, lines)) <= 56 and lines[-1] == "second"


@pytest.mark.filterwarnings("ignore::fer_zoo.data.LeakWarning")
@pytest.mark.parametrize("form", ["pdf", "svg"])
def test_commands_take_the_format(run_folder, synthetic_root, tmp_path, form):
    data = ["--data", str(synthetic_root)]
    evaluate = ["evaluate", run_folder, *data, "--plots", "--corruptions", "jpeg"]
    wanted = {
        "evaluate": (evaluate, ["confusion", "corruptions", "reliability", "roc"]),
        "compare": (["compare", run_folder, run_folder, *data], ["disagreements"]),
    }
    for name, (argv, pictures) in wanted.items():
        assert main([*argv, "--out", str(tmp_path / name), "--format", form]) == 0
        found = sorted(path.stem for path in (tmp_path / name).glob(f"*.{form}"))
        assert found == pictures and not list((tmp_path / name).glob("*.png"))


NAMES = {
    "money": "$5_and_$6",
    "latex": r"$\frac$ ^_{}%#&~",
    "no glyphs": "\u65e5\u672c",
    "no text": "\udcff.mp4",
    "dollar": "$",
}


@pytest.mark.filterwarnings("ignore:.*which no font here has:UserWarning")
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", NAMES)
def test_names_are_no_formulas(tmp_path, form, kind):
    name, path = NAMES[kind], tmp_path / f"a.{form}"
    save_confusion(path, np.eye(2, dtype=int), [name.replace("\udcff", ""), "b"], name)
    assert path.stat().st_size > 1000
    assert form != "svg" or kind != "money" or name.encode() in path.read_bytes()
