"""The package's shape: imports go one way, public names resolve, docstring examples run."""

import ast
import doctest
import importlib
import pkgutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import fer_zoo

PACKAGE = Path(fer_zoo.__file__).parent
#: From the ground up: a part may import parts of the lines above its own, and nothing else.
LEVELS = (
    ("labels", "errors", "memory"),
    ("atomic", "fonts", "images", "model_table", "preprocessing", "provenance"),
    ("exported_files", "figures", "onnx_session"),
    ("layers", "losses"),
    ("models", "data"),
    ("model_card",),
    ("hub", "inference"),
    ("package_weights", "publishing", "runtime"),
    ("evaluation", "explanation", "exporting", "model_info", "service", "video"),
    ("audit", "training"),
    ("benchmark", "demo"),
    ("_timm_hook",),
    ("fer_zoo",),
    ("cli",),
    ("__main__",),
)
LEVEL = {part: i for i, parts in enumerate(LEVELS) for part in parts}
MODULES = [
    module.name
    for module in pkgutil.walk_packages([str(PACKAGE)], "fer_zoo.")
    if not module.name.endswith("__main__")
    and (find_spec("fastapi") or not module.name.startswith("fer_zoo.service."))
]


def part_of(module):
    """``fer_zoo.data.folder`` belongs to ``data``; the package's own names to ``fer_zoo``."""
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
            if name.split(".")[0] == "fer_zoo" and name != "fer_zoo.__version__":
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


def in_a_fresh_process(code):
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_importing_the_package_imports_nothing_else():
    in_a_fresh_process(
        "import sys\n"
        "import fer_zoo\n"
        "assert 'train' in dir(fer_zoo)\n"
        "heavy = {'torch', 'timm', 'numpy', 'PIL', 'sklearn', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "fer_zoo.train\n"
        "assert 'torch' in sys.modules\n"
    )


@pytest.mark.parametrize(
    "imports",
    [
        "import fer_zoo, timm",
        "import timm, fer_zoo",
        "import fer_zoo; from timm.models import create_model; import timm",
        "import importlib.util, fer_zoo; assert importlib.util.find_spec('timm'); import timm",
        "import fer_zoo.models, timm",
        "import fer_zoo; fer_zoo.list_models(); import timm",
    ],
)
def test_timm_knows_the_models_whichever_is_imported_first(imports):
    in_a_fresh_process(
        f"{imports}\n"
        "import inspect\n"
        "assert timm.is_model('fer_dacl')\n"
        "assert timm.create_model('fer_vgg_small').num_classes == 7\n"
        "assert inspect.getsource(timm) and timm.__spec__.loader is timm.__loader__\n"
        "assert type(timm.__loader__).__module__ != 'fer_zoo._timm_hook'\n"
    )


#: What a runtime without torch needs.
WITHOUT_TORCH = (
    *("labels", "errors", "atomic", "images", "model_table"),
    *("preprocessing", "provenance"),
    *("inference", "inference.base_predictor", "inference.detection"),
    *("inference.drawing", "inference.prediction", "inference.reading", "inference.views"),
    *("exported_files", "runtime"),
    *("video", "video.predictor", "video.reader", "video.tracking", "video.writer"),
    *("training.config", "training.recipes", "cli"),
)


def test_what_needs_no_torch_works_without():
    in_a_fresh_process(
        "import sys\n"
        "class Blocked:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in {'torch', 'torchvision', 'timm'}:\n"
        "            raise ImportError(name + ' is blocked')\n"
        "sys.meta_path.insert(0, Blocked())\n"
        "import importlib\n"
        f"for name in {WITHOUT_TORCH!r}:\n"
        "    importlib.import_module('fer_zoo.' + name)\n"
        "import fer_zoo, numpy\n"
        "from fer_zoo.images import read_image\n"
        "face = read_image(numpy.zeros((60, 40), numpy.uint8))\n"
        "assert fer_zoo.Preprocessing((48, 48), (0.5,), (0.25,))(face).shape == (1, 48, 48)\n"
        "assert fer_zoo.provenance.stamp()['hardware']\n"
        "assert fer_zoo.Prediction('happy', 1.0, {'happy': 1.0}).top(1)\n"
        "assert fer_zoo.cli.build_parser().parse_args(['train', '--data', 'x', '--out', 'y'])\n"
    )


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
