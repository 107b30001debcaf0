"""Text in the encodings that files have: read right, or refused by name."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import write_faces, write_text
from synthetic_files import write_csv

from fer_zoo.data import FER2013, open_data
from fer_zoo.data.text_files import open_text
from fer_zoo.errors import DataError

READ = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
WORDS = st.text(st.characters(codec="cp1252", exclude_categories=["C", "Z"]), min_size=1)


def read(data):
    with open_text(io.BytesIO(data), "faces.csv") as text:
        return text.read()


@given(st.sampled_from(READ), st.lists(WORDS, min_size=1, max_size=3))
def test_unicode_is_read_right(encoding, words):
    text = "path,label\n" + "\n".join(f"some/folder/a.png,{word}" for word in words)
    assert read(text.encode(encoding)) == text


@given(st.sampled_from(["cp1252", "latin-1", "cp1250", "shift-jis", "gbk"]), WORDS)
def test_older_encodings_are_refused_with_the_way_out(encoding, word):
    try:
        data = f"path,label\na.png,{word}\n".encode(encoding)
    except UnicodeEncodeError:
        return
    try:
        data.decode()
    except UnicodeDecodeError:
        with pytest.raises(DataError, match=r"older encoding, such as Windows-1252.*iconv"):
            read(data)
    else:
        assert read(data) == data.decode()


@given(st.binary(max_size=200))
def test_any_bytes_are_text_or_refused(data):
    try:
        assert isinstance(read(data), str)
    except DataError:
        pass


@pytest.mark.parametrize("encoding", READ)
@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_a_table_in_any_unicode_keeps_its_classes(tmp_path, encoding, suffix):
    write_faces(tmp_path, ["a.png", "b.png"])
    between = "\t" if suffix == "tsv" else ","
    lines = [between.join(row) for row in (("path", "label"), ("a.png", "fröhlich"),
                                           ("b.png", "traurig"))]  # fmt: skip
    if suffix == "jsonl":
        lines = [f'{{"path": "{n}.png", "label": "{x}"}}' for n, x in
                 (("a", "fröhlich"), ("b", "traurig"))]  # fmt: skip
    table = write_text(tmp_path / f"t.{suffix}", "\n".join(lines).encode(encoding))
    assert open_data(table)[""].label_names == ("fröhlich", "traurig")


def test_an_older_encoding_never_merges_classes(tmp_path):
    write_faces(tmp_path, ["a.png", "b.png"])
    text = "path,label\na.png,müde\nb.png,mäde\n".encode("cp1252")
    for name in ("t.csv", "metadata.csv"):
        write_text(tmp_path / name, text.replace(b"path", b"file_name"))
        with pytest.raises(DataError, match=rf"{name} is not UTF-8 but an older encoding"):
            open_data(tmp_path / name if name == "t.csv" else tmp_path)


@pytest.mark.filterwarnings("ignore::fer_zoo.data.LeakWarning")
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig"])
def test_fer2013_is_read_in_any_unicode(tmp_path, synthetic_faces, encoding):
    write_csv(tmp_path / "plain.csv", synthetic_faces)
    text = (tmp_path / "plain.csv").read_text()
    (tmp_path / "other.csv").write_bytes(text.encode(encoding))
    found = open_data(tmp_path / "other.csv")
    assert isinstance(found["val"], FER2013) and len(found["val"]) == 28
