import subprocess
import sys
import time
from datetime import datetime

import pytest

from fer_zoo import provenance


def test_a_stamp_says_with_what_where_how_and_when(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["fer-zoo", "evaluate", "my model"])
    before = time.time()
    stamp = provenance.stamp()
    assert stamp.keys() == {"versions", "hardware", "command", "finished"}
    assert stamp["command"] == "fer-zoo evaluate 'my model'"
    finished = datetime.fromisoformat(stamp["finished"])
    assert finished.tzinfo is not None and abs(finished.timestamp() - before) < 60
    assert stamp["versions"] == provenance.versions()
    assert stamp["hardware"] == provenance.describe_hardware()


def test_a_module_that_ran_is_named_as_one_types_it(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/opt/lib/fer_zoo/__main__.py", "list"])
    assert provenance.stamp()["command"] == "python -m fer_zoo list"


def test_with_a_beginning_a_stamp_says_how_long_it_took():
    assert provenance.stamp(since=time.monotonic() - 5)["seconds"] == pytest.approx(5, abs=1)


def test_versions_are_those_that_are_installed(monkeypatch):
    versions = provenance.versions()
    assert versions["python"] == sys.version.split()[0]
    assert {"torch", "timm", "numpy"} <= versions.keys()
    monkeypatch.setattr(provenance, "_PACKAGES", ("no-such-package", "timm"))
    assert provenance.versions().keys() == {"python", "timm"}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("vendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC: 7\nflags\t: fpu", "AMD EPYC: 7"),
        ("processor\t: 0\nflags\t: fpu", None),
        (None, None),
    ],
    ids=["a name", "no name", "no file"],
)
def test_the_processor_is_named_with_its_threads(tmp_path, monkeypatch, text, name):
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(provenance, "_CPUINFO", tmp_path / "cpuinfo")
    name = name or provenance.platform.processor() or provenance.platform.machine()
    processor, _, threads = provenance.describe_hardware("cpu").rpartition(", ")
    assert processor == name
    number, word = threads.split()
    assert int(number) > 0 and word == "threads"
    assert ("fpu" in provenance.cpu_features()) is (text is not None)


def test_a_stamp_needs_no_torch_and_its_version_is_known_all_the_same():
    code = (
        "import sys\n"
        "from fer_zoo import provenance\n"
        "stamp = provenance.stamp()\n"
        "assert 'threads' in stamp['hardware'] and 'torch' in stamp['versions']\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
