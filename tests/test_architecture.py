"""The package's shape: imports go one way, public names resolve, docstring examples run."""

import ast
import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import fer_zoo

PACKAGE = Path(fer_zoo.__file__).parent
#: From the ground up: a part may import parts of the lines above its own, and nothing else.
LEVELS = (
    ("labels", "errors"),
    ("files", "images", "corruptions", "layers"),
    ("models", "data"),
    ("losses", "metrics", "uncertainty", "calibration", "detection", "inference", "publishing"),
    ("plots", "evidence"),
    ("tables", "summary", "training"),
    ("evaluation", "predictor", "benchmark", "audit"),
    ("comparison", "label_noise", "robustness"),
    ("fer_zoo",),
    ("cli",),
    ("__main__",),
)
LEVEL = {part: i for i, parts in enumerate(LEVELS) for part in parts}
MODULES = [
    module.name
    for module in pkgutil.walk_packages([str(PACKAGE)], "fer_zoo.")
    if not module.name.endswith("__main__")
]


def part_of(module):
    """``fer_zoo.data._csv`` belongs to ``data``; the package's own names to ``fer_zoo``."""
    names = module.split(".")
    return names[1] if len(names) > 1 else names[0]


def imported_parts(path):
    """Every part of fer_zoo that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name.split(".")[0] == "fer_zoo":
                part = part_of(name)
                yield part if part in LEVEL else "fer_zoo"


def part_of_file(path):
    relative = path.relative_to(PACKAGE)
    if len(relative.parts) > 1:
        return relative.parts[0]
    return "fer_zoo" if relative.stem == "__init__" else relative.stem


def test_imports_go_one_way():
    wrong, edges = [], 0
    for path in sorted(PACKAGE.rglob("*.py")):
        part = part_of_file(path)
        for other in imported_parts(path):
            edges += 1
            if other != part and LEVEL[other] >= LEVEL[part]:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {other}")
    assert not wrong
    assert edges > 100  # the walk has seen the imports


def test_every_part_has_a_level():
    found = {part_of_file(path) for path in PACKAGE.rglob("*.py")}
    assert found - {"weights", "recipes"} == set(LEVEL)


def test_layers_stand_on_torch_alone():
    for path in (PACKAGE / "layers").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                roots = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                roots = {str(node.module).split(".")[0]}
            else:
                continue
            assert roots <= {"torch", "fer_zoo", *sys.stdlib_module_names}, path


def test_public_names_resolve():
    for name in fer_zoo.__all__:
        assert getattr(fer_zoo, name).__doc__, name
        assert name in dir(fer_zoo)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = fer_zoo.nothing


def test_heavy_parts_are_imported_when_used():
    code = (
        "import sys, timm\n"
        "before = set(sys.modules)\n"
        "import fer_zoo\n"
        "new = {m.split('.')[0] for m in set(sys.modules) - before}\n"
        "assert not new & {'sklearn', 'matplotlib', 'cv2', 'scipy'}, new\n"
        "assert not [m for m in sys.modules if m.startswith('fer_zoo.training')]\n"
        "fer_zoo.train\n"
        "assert 'fer_zoo.training' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    result = doctest.testmod(importlib.import_module(name), globs=None)
    assert result.failed == 0


def test_docstring_examples_are_found():
    attempted = sum(
        len(test.examples)
        for name in MODULES
        for test in doctest.DocTestFinder().find(importlib.import_module(name))
    )
    assert attempted > 20
