"""The box of a face, under any usual name: understood and said, or refused; never passed over."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import write_faces, write_text
from PIL import Image

from fer_zoo.data import open_data
from fer_zoo.data.boxes import Box
from fer_zoo.data.tables.box_columns import read_boxes
from fer_zoo.data.tables.table_rows import Table
from fer_zoo.errors import DataError

NAMES = ["a.png", "b.png"]
LEFT, TOP, RIGHT, BOTTOM = 10, 20, 40, 52
CORNERS = [
    *("x0,y0,x1,y1", "x1,y1,x2,y2", "xmin,ymin,xmax,ymax", "left,top,right,bottom"),
    *("xtl,ytl,xbr,ybr", "startX,startY,endX,endY", "min_x,min_y,max_x,max_y", "l,t,r,b"),
]
SIZES = ["x,y,w,h", "x,y,width,height", "left,top,width,height", "xmin,ymin,w,h", "x1,y1,w,h"]
CENTRES = ["x_center,y_center,width,height", "cx,cy,w,h"]
SCHEMES = {
    **dict.fromkeys(CORNERS, (LEFT, TOP, RIGHT, BOTTOM)),
    **dict.fromkeys(SIZES, (LEFT, TOP, RIGHT - LEFT, BOTTOM - TOP)),
    **dict.fromkeys(CENTRES, (25, 36, RIGHT - LEFT, BOTTOM - TOP)),
}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    return write_faces(tmp_path_factory.mktemp("boxes"), NAMES, 60)


def table_of(columns, *rows):
    return Table("faces.csv", [dict(zip(columns, row, strict=True)) for row in rows], ["line 2"])


spelled = st.sampled_from([str, str.upper, str.title, lambda name: f" {name} "])
before = st.sampled_from(["", "bbox_", "Face ", "face.", "bb_", "ROI.", "face_bbox_", "rect-"])


@given(
    scheme=st.sampled_from(list(SCHEMES)),
    before=before,
    spelled=spelled,
    order=st.permutations(range(4)),
    others=st.sampled_from([[], ["comment"], ["image_width", "age"]]),
    kind=st.sampled_from([int, float, str]),
)
def test_every_usual_name_is_understood_and_said(scheme, before, spelled, order, others, kind):
    words = [spelled(before + word) for word in scheme.split(",")]
    columns = [words[i] for i in order] + others
    values = [kind(SCHEMES[scheme][i]) for i in order] + [7] * len(others)
    found = read_boxes(table_of(columns, values))
    assert found.boxes == [Box(LEFT, TOP, RIGHT, BOTTOM)] and not found.problems
    assert set(found.columns) == set(words)
    assert f"cut out by {', '.join(words)}" in found.remarks[0]


@given(
    scheme=st.sampled_from([s for s in SCHEMES if not s.startswith(("x,", "x1,y1,w"))]),
    before=before,
    size=st.tuples(st.integers(60, 4000), st.integers(60, 4000)),
)
def test_shares_of_the_image_are_scaled_and_said(scheme, before, size):
    columns = [before + word for word in scheme.split(",")]
    shares = [v / s for v, s in zip(SCHEMES[scheme], (*size, *size), strict=True)]
    found = read_boxes(table_of(columns, shares))
    assert found.boxes[0].relative and "shares of the image" in found.remarks[0]
    assert found.boxes[0].inside(*size) == (LEFT, TOP, RIGHT, BOTTOM)


@pytest.mark.parametrize("scheme", ["x,y,w,h", "x,y,width,height"])
def test_shares_whose_corner_may_be_the_middle_are_refused(scheme):
    with pytest.raises(DataError, match="rename them to left and top, or to x_center"):
        read_boxes(table_of(scheme.split(","), (0.1, 0.2, 0.5, 0.5)))


@given(scheme=st.sampled_from(list(SCHEMES)), before=before, lost=st.integers(0, 3))
def test_a_part_of_a_box_is_refused(scheme, before, lost):
    columns = [before + word for word in scheme.split(",")]
    del columns[lost]
    if scheme == "l,t,r,b" and not before:  # letters that may be anything
        return
    with pytest.raises(DataError, match="look like a part of a box; name the columns left, top"):
        read_boxes(table_of(columns, (10, 20, 30)))


@given(
    name=st.sampled_from(["bbox", "box", "Bounding Box", "face_box", "rect", "ROI", "face"]),
    order=st.sampled_from(["xyxy", "xywh", "ltrb", "cxcywh"]),
    form=st.sampled_from([list, tuple, str, json.dumps, lambda v: " ".join(map(str, v))]),
)
def test_a_box_in_one_column_needs_its_order(name, order, form):
    values = {
        "xywh": [LEFT, TOP, RIGHT - LEFT, BOTTOM - TOP],
        "cxcywh": [25, 36, RIGHT - LEFT, BOTTOM - TOP],
    }.get(order, [LEFT, TOP, RIGHT, BOTTOM])
    assert read_boxes(table_of([f"{name}_{order}"], [form(values)])).boxes == [
        Box(LEFT, TOP, RIGHT, BOTTOM)
    ]
    if name == "face" and isinstance(form(values), str) and "[" not in form(values):
        return  # no list: a text of the user's own
    with pytest.raises(DataError, match=f"Rename it to {name}_xyxy"):
        read_boxes(table_of([name], [form(values)]))


@pytest.mark.parametrize("form", [dict, str, json.dumps])
def test_a_box_of_named_numbers_is_read(form):
    value = form({"x": LEFT, "y": TOP, "w": RIGHT - LEFT, "h": BOTTOM - TOP})
    assert read_boxes(table_of(["bbox"], [value])).boxes == [Box(LEFT, TOP, RIGHT, BOTTOM)]


def test_landmarks_are_no_box():
    columns = [f"{axis}{i}" for i in range(5) for axis in "xy"]
    found = read_boxes(table_of(columns, range(10)))
    assert found.boxes is None and "are taken for points, not for boxes" in found.remarks[0]


def test_the_size_of_the_image_beside_a_box_does_not_matter():
    columns = ["Roi.X1", "Roi.Y1", "Roi.X2", "Roi.Y2", "Width", "Height"]
    found = read_boxes(table_of(columns, (LEFT, TOP, RIGHT, BOTTOM, 60, 60)))
    assert found.boxes == [Box(LEFT, TOP, RIGHT, BOTTOM)]


def test_of_two_boxes_that_of_the_face_counts_or_both_are_equal():
    person = ["xmin", "ymin", "xmax", "ymax"]
    face = [f"face_{name}" for name in person]
    both = table_of([*person, *face], (0, 0, 60, 60, LEFT, TOP, RIGHT, BOTTOM))
    assert read_boxes(both).boxes == [Box(LEFT, TOP, RIGHT, BOTTOM)]
    other = [f"bbox_{name}" for name in person]
    with pytest.raises(DataError, match="the face's box could be"):
        read_boxes(table_of([*person, *other], (0, 0, 60, 60, LEFT, TOP, RIGHT, BOTTOM)))
    assert read_boxes(table_of([*person, *other], (1, 2, 30, 40) * 2)).boxes == [Box(1, 2, 30, 40)]
    with pytest.raises(DataError, match="x0 and left could both be a side of the box, and differ"):
        read_boxes(table_of("x0,y0,x1,y1,left".split(","), (LEFT, TOP, RIGHT, BOTTOM, 3)))


@given(
    box=st.tuples(*[st.floats(-50, 110)] * 4),
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    scale=st.sampled_from([1.0, 2.0]),
)
def test_what_is_cut_lies_in_the_image(box, size, scale):
    try:
        left, top, right, bottom = Box(*box).inside(*size, scale)
    except ValueError:
        return
    assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize(
    ("box", "message"),
    [
        ("40,52,10,20", "line 3: the box 40, 52, 10, 20 .* has less than 3 pixels"),
        ("0.1,0.2,0.9,0.9", "line 3: the box .* has less than 3 pixels"),
        ("1,2,nan,4", "line 3: the box is 1, 2, , 4"),
        ("1,2,x,4", "line 3: the box is 1, 2, x, 4"),
        ("40,40,200,200", r"b\.png: the box .* lies outside of the image of 60x60 pixels"),
    ],
)
def test_a_wrong_box_is_told_or_skipped(photographs, box, message, skip):
    rows = ["path,label,x0,y0,x1,y1", "a.png,bored,10,20,40,52", f"b.png,tired,{box}"]
    rows.append("a.png,tired,1,2,50,50")
    table = write_text(photographs / "wrong.csv", "\n".join(rows))
    if skip:
        faces = open_data(table, on_error="skip")[""]
        assert len(faces) == 2 and "1 " in faces.summary
        whole = Image.open(photographs / "a.png").crop((10, 20, 40, 52)).resize((48, 48), 2)
        assert np.array_equal(faces.images[0].numpy(), np.asarray(whole))
    else:
        with pytest.raises(DataError, match=message):
            open_data(table)


def test_a_box_is_that_of_the_photograph_where_it_is_read_smaller(tmp_path, monkeypatch):
    for name, label in (("a.jpg", "bored"), ("b.jpg", "tired")):
        image = Image.new("L", (400, 300))
        image.paste(255, (200, 100, 300, 200))
        image.save(tmp_path / name, quality=95)
        with (tmp_path / "t.csv").open("a") as table:
            header = "path,label,x0,y0,x1,y1\n" if label == "bored" else ""
            table.write(f"{header}{name},{label},200,100,300,200\n")
    monkeypatch.setattr("fer_zoo.images.reading.FULL_PIXELS", 30_000)
    faces = open_data(tmp_path / "t.csv")[""]
    assert faces.images.float().mean() > 240


@given(
    side=st.integers(100, 400),
    boxes=st.lists(st.tuples(*[st.floats(0.5, 49)] * 2, *[st.floats(5, 51)] * 2), min_size=1),
    columns=st.sampled_from(["left,top,width,height", "x,y,w,h", "bbox_xywh"]),
    pixels=st.booleans(),
)
@settings(deadline=None, max_examples=40)
def test_percent_are_not_taken_for_pixels(tmp_path_factory, side, boxes, columns, pixels):
    """In images of 200 pixels or more; unless the columns say that they are pixels."""
    root = tmp_path_factory.mktemp("percent")
    words = [f"{word}_px" if pixels else word for word in columns.split(",")]
    rows = []
    for i, box in enumerate([(*boxes[0][:2], 40, 40), *boxes]):
        Image.new("L", (side, side + 1)).save(root / f"{i}.png")
        values = [f"{value:.2f}" for value in box]
        rows.append([f"{i}.png", "ab"[i % 2], *(values if len(words) > 1 else [" ".join(values)])])
    text = "\n".join(";".join(row) for row in [["path", "label", *words], *rows])
    table = write_text(root / "t.csv", text)
    if side < 200 or pixels:
        assert len(open_data(table)[""]) == len(rows)
        return
    with pytest.raises(DataError, match=r"are percent, divide them by 100; .*_px") as caught:
        open_data(table)
    assert all(f"{word}_px" in str(caught.value) for word in words)
