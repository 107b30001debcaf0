"""``import fer_zoo`` registers the models when timm comes, however timm comes, and harms nothing.

A small package called timm stands for timm, and another for the models: no torch is needed.
"""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import fer_zoo

BEGIN = """
import sys, warnings
warnings.simplefilter("error")
import fer_zoo, fer_zoo._timm_hook as hook
hook._MODELS = "models_of_fer_zoo"
"""
REGISTERED = """
import timm
assert timm.registered == ["fer_dacl"], timm.registered
assert timm.__spec__.loader is timm.__loader__
assert type(timm.__loader__).__module__ != "fer_zoo._timm_hook"
"""


#: Hides the installed timm from Python's own finder.
HIDE_TIMM = """
import sys
sys.path[:] = [p for p in sys.path if not p.endswith("site-packages")]
"""


@pytest.fixture
def packages(tmp_path):
    """A folder with a package timm, and the module that registers with it."""
    (tmp_path / "timm").mkdir()
    (tmp_path / "timm" / "__init__.py").write_text("registered = []\n")
    (tmp_path / "timm" / "data.txt").write_text("data of timm")
    (tmp_path / "models_of_fer_zoo.py").write_text(
        "import time, timm\ntime.sleep(0.2)\ntimm.registered.append('fer_dacl')\n"
    )
    return tmp_path


def run(code, path, begin=BEGIN):
    """Runs code in a fresh interpreter whose path begins with a folder or zip file."""
    folders = [str(path), str(Path(fer_zoo.__file__).parents[1])]
    done = subprocess.run(
        [sys.executable, "-P", "-c", begin + code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


WAYS = {
    "import": "",
    "reload": "import importlib, timm; importlib.reload(timm); timm.registered = ['fer_dacl']",
    "find_spec first": "import importlib.util; assert importlib.util.find_spec('timm').origin",
    "by its spec": (
        "import importlib.util as u; spec = u.find_spec('timm'); timm = u.module_from_spec(spec)\n"
        "sys.modules['timm'] = timm; spec.loader.exec_module(timm)"
    ),
    "lazily": (
        "import importlib.util as u; spec = u.find_spec('timm')\n"
        "spec.loader = u.LazyLoader(spec.loader); timm = u.module_from_spec(spec)\n"
        "sys.modules['timm'] = timm; spec.loader.exec_module(timm); timm.registered"
    ),
    "data read without an import": (
        "import pkgutil; assert pkgutil.get_data('timm', 'data.txt') == b'data of timm'"
    ),
    "models first": "import models_of_fer_zoo",
    "twice": (
        "import importlib; importlib.reload(hook); hook._MODELS = 'models_of_fer_zoo'\n"
        "importlib.reload(fer_zoo)"
    ),
    "in threads": (
        "import importlib, threading\n"
        "names = ['timm', 'models_of_fer_zoo'] * 8\n"
        "threads = [threading.Thread(target=importlib.import_module, args=[n]) for n in names]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]"
    ),
    "another finder that asks all": (
        "import importlib.util\n"
        "class Asking:\n"
        "    busy = False\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name != 'timm' or self.busy: return None\n"
        "        self.busy = True\n"
        "        return importlib.util.find_spec(name)\n"
        "sys.meta_path.insert(0, Asking())"
    ),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_models_are_registered(packages, way):
    run(way + REGISTERED, packages)


def test_from_a_zip_file(packages, tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for file in packages.rglob("*.*"):
            if file.suffix != ".zip":
                archive.write(file, file.relative_to(packages))
    run(REGISTERED, tmp_path / "all.zip")


def test_from_a_finder_of_its_own(packages, tmp_path):
    """An editable install of timm, or a frozen program, has a finder after Python's own."""
    (packages / "timm").rename(tmp_path / "elsewhere")
    finder = (
        "import importlib.util\n"
        "class Editable:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'timm':\n"
        f"            file = {str(tmp_path / 'elsewhere' / '__init__.py')!r}\n"
        "            return importlib.util.spec_from_file_location(name, file)\n"
        "sys.meta_path.append(Editable())\n"
    )
    run(finder + REGISTERED, packages, HIDE_TIMM + BEGIN)


def test_without_timm_nothing_changes(packages):
    code = (
        "import importlib.util\n"
        "assert importlib.util.find_spec('timm') is None\n"
        "try: import timm\n"
        "except ModuleNotFoundError as error: assert error.name == 'timm'\n"
        "else: raise SystemExit('timm is not there')\n"
    )
    (packages / "timm").rename(packages / "none")
    run(code, packages, HIDE_TIMM + BEGIN)


def test_a_broken_timm_says_what_is_broken(packages):
    (packages / "timm" / "__init__.py").write_text("import no_such_part_of_timm\n")
    code = (
        "for _ in range(2):\n"
        "    try: import timm\n"
        "    except ModuleNotFoundError as error: assert error.name == 'no_such_part_of_timm'\n"
        "    else: raise SystemExit('it is broken')\n"
    )
    run(code, packages)


def test_models_that_cannot_be_imported_leave_timm_whole(packages):
    (packages / "models_of_fer_zoo.py").write_text("from timm import something_new\n")
    code = (
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always')\n"
        "    import timm\n"
        "assert timm.registered == []\n"
        "assert 'something_new' in str(seen[0].message), seen\n"
    )
    run(code, packages)


def test_metadata_of_timm_is_found():
    run("import importlib.metadata as m; assert m.version('timm') >= '1.0.31'", Path.cwd())


def test_a_blocked_timm_leaves_fer_zoo_whole(packages):
    run("", packages, "import sys; sys.modules['timm'] = None\nimport fer_zoo; fer_zoo.labels\n")


SPAWN = """
import multiprocessing, torch, fer_zoo, timm

def outputs(model):
    return model(torch.zeros(1, 1, 48, 48)).shape[1], timm.is_model("fer_dacl")

if __name__ == "__main__":
    model = timm.create_model("fer_vgg_small").eval()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(outputs, [model]) == (7, True)
"""


def test_a_model_goes_to_a_spawned_process(tmp_path):
    (tmp_path / "main.py").write_text(SPAWN)
    env = {**os.environ, "PYTHONPATH": str(Path(fer_zoo.__file__).parents[1])}
    subprocess.run([sys.executable, tmp_path / "main.py"], env=env, check=True, timeout=180)
