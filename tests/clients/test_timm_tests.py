"""timm's own tests/test_models.py over ``fer_*``: all that timm's models of these kinds pass.

The file is timm's and not kept here. Give the ``tests`` folder of timm's source distribution:

    pip download timm --no-binary :all: --no-deps && tar xf timm-*.tar.gz
    TIMM_TESTS=timm-<version>/tests pytest tests/clients/test_timm_tests.py
"""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import timm

#: What timm's file asks of every model, whatever its name.
KINDS = (
    *("test_model_forward", "test_model_backward", "test_model_default_cfgs"),
    *("test_model_default_cfgs_non_std", "test_model_load_pretrained"),
    *("test_model_features_pretrained", "test_model_forward_torchscript"),
    *("test_model_forward_features", "test_model_forward_intermediates"),
    *("test_model_forward_intermediates_features", "test_prune_intermediate_layers_contract"),
    *("test_model_forward_fx", "test_model_backward_fx", "test_model_forward_fx_torchscript"),
)
#: Timm's lists of models with tokens, and of files with forward_intermediates, name its own alone.
OURS = {
    "NON_STD_FILTERS = [": "'fer_transfer*', 'fer_cnn_transformer*',",
    "FEAT_INTER_FILTERS = [": "*(m for m in timm.list_modules() if m.startswith('fer_')),",
}


@pytest.fixture
def timm_tests(tmp_path):
    given = os.environ.get("TIMM_TESTS")
    if not given:
        pytest.skip("TIMM_TESTS names no folder with timm's test_models.py")
    text = (Path(given) / "test_models.py").read_text()
    for head, names in OURS.items():
        assert head in text, f"timm {timm.__version__} has no {head}"
        text = text.replace(head, f"{head}{names}", 1)
    (tmp_path / "test_models.py").write_text(f"import fer_zoo\n{text}")
    return tmp_path / "test_models.py"


def outcomes(path, models):
    """Returns the outcome of each test of each kind over some models, by (kind, model)."""
    result = path.with_suffix(".xml")
    options = ["-q", "-n", "0", "-p", "no:cacheprovider", "-W", "ignore", f"--junitxml={result}"]
    name = rf"[-[]({models})[].]"
    code = (  # -k has no regular expressions
        "import re, sys, pytest\n"
        "class Chosen:\n"
        "    def pytest_collection_modifyitems(self, items):\n"
        f"        items[:] = [i for i in items if re.search({name!r}, i.name)]\n"
        "sys.exit(pytest.main(sys.argv[1:], plugins=[Chosen()]))\n"
    )
    subprocess.run([sys.executable, "-c", code, *options, path], cwd=path.parent, timeout=3600)
    found = {}
    for case in ElementTree.parse(result).iter("testcase"):
        kind, parameters = case.get("name").rstrip("]").split("[", 1)
        states = {child.tag for child in case} & {"failure", "error", "skipped"}
        model = re.sub(r"^\d+-", "", parameters)  # without the batch size
        found[kind, model] = states.pop() if states else "passed"
    return found


def test_what_timms_models_pass_ours_pass(timm_tests):
    ours = outcomes(timm_tests, "fer_.*")
    assert {kind for kind, _ in ours} == set(KINDS)
    failed = [f"{kind} {model}" for (kind, model), state in ours.items() if state != "passed"]
    assert not failed
    missing = set(timm.list_models("fer_*")) - {model for _, model in ours}
    assert not missing
