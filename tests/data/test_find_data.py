"""What lies at a path, and what to give where nothing is found."""

import zipfile

import pytest
from layouts import write_faces, write_text

from fer_zoo.data import open_data
from fer_zoo.errors import DataNotFoundError


@pytest.mark.parametrize(
    ("names", "at", "message"),
    [
        ([], "nowhere", "there is no .*nowhere; give class folders"),
        ([], "", "no faces with labels in .* Expected: class folders"),
        (["notes.txt"], "", "there is notes.txt, which may become a csv with the columns path"),
        (["faces.xlsx"], "faces.xlsx", "save other tables as csv"),
        (["faces.tar.gz"], "faces.tar.gz", "Unpack other archives"),
        (["face.png"], "face.png", "is no data set that is read; give class folders"),
        (["a.png", "b.png"], "", r"the 2 images of .* lie in no class folder \(first a\.png\)"),
        (["a.png", "labels.txt"], "", r"there is labels\.txt, which may become a csv"),
    ],
)
def test_a_path_of_own_faces_gets_a_message_about_own_faces(tmp_path, names, at, message):
    root = tmp_path / "own"
    root.mkdir()
    for name in names:
        if name.endswith(".png"):
            write_faces(root, [name])
        else:
            write_text(root / name, "x")
    with pytest.raises(DataNotFoundError, match=message) as caught:
        open_data(root / at)
    assert "no FER-2013 in" not in str(caught.value)


def test_a_zip_of_a_table_and_flat_images_is_read(tmp_path):
    write_faces(tmp_path, ["a.png", "b.png"])
    with zipfile.ZipFile(tmp_path / "own.zip", "w") as archive:
        for name in ("a.png", "b.png"):
            archive.write(tmp_path / name, name)
        archive.writestr("faces.csv", "path,label\na.png,bored\nb.png,tired\n")
    assert open_data(tmp_path / "own.zip")[""].label_names == ("bored", "tired")
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.write(tmp_path / "a.png", "a.png")
    with pytest.raises(DataNotFoundError, match="lie in no class folder"):
        open_data(tmp_path / "none.zip")
