"""What Windows and macOS do not have: modules and functions of Unix, UTF-8 by default, and more."""

import ast
import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

import fer_zoo
from fer_zoo import atomic, benchmark
from fer_zoo.cli import main

PACKAGE = Path(fer_zoo.__file__).parent
SOURCES = {path: path.read_text("utf-8") for path in PACKAGE.rglob("*.py")}
UNIX_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
#: Functions and constants that a module lacks on Windows, or on macOS.
UNIX_NAMES = {
    "os": {
        *("chown", "fchmod", "fchown", "fork", "forkpty", "getgid", "getloadavg", "getpgid"),
        *("getuid", "geteuid", "killpg", "mkfifo", "nice", "O_NONBLOCK", "posix_fadvise", "pread"),
        *("pwrite", "register_at_fork", "sched_getaffinity", "sched_setaffinity", "setsid"),
        *("statvfs", "sync", "sysconf", "uname", "wait", "WNOHANG"),
    },
    "signal": {"SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGPIPE", "SIGCHLD", "alarm"},
    "socket": {"AF_UNIX", "SO_REUSEPORT"},
    "time": {"tzset", "clock_gettime", "CLOCK_MONOTONIC"},
}


def nodes(*kinds):
    """All nodes of some kinds, each with its file."""
    for path, text in SOURCES.items():
        yield from ((node, path) for node in ast.walk(ast.parse(text)) if isinstance(node, kinds))


def test_modules_of_unix_are_imported_where_they_are_known_to_be():
    for node, path in nodes(ast.Import, ast.ImportFrom):
        names = {alias.name for alias in node.names} | {getattr(node, "module", "")}
        for name in names & UNIX_MODULES:
            assert f'find_spec("{name}")' in SOURCES[path] and node.col_offset, path


def test_names_of_unix_are_used_where_they_are_known_to_be():
    for node, path in nodes(ast.Attribute):
        if isinstance(node.value, ast.Name) and node.attr in UNIX_NAMES.get(node.value.id, ()):
            checked = f'hasattr({node.value.id}, "{node.attr}")' in SOURCES[path]
            assert checked, f"{path}:{node.lineno}"


def is_text_without_encoding(call):
    """Says whether a call opens text in the encoding of the system."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if any(keyword.arg in ("encoding", None) for keyword in call.keywords):
        return False
    is_method = isinstance(call.func, ast.Attribute)
    given = [*call.args[0 if is_method else 1 :][:1], *(k.value for k in call.keywords)]
    words = [arg.value for arg in given if isinstance(arg, ast.Constant)]
    modes = [word for word in words if isinstance(word, str) and set(word) <= set("rwax+bt")]
    if name in ("read_text", "write_text"):
        return is_method and len(call.args) <= (name == "write_text")
    if name in ("run", "Popen", "check_output"):
        return any(k.arg in ("text", "universal_newlines") for k in call.keywords)
    if name == "TextIOWrapper":
        return len(call.args) < 2
    return name == "open" and bool(modes or not is_method) and not any("b" in m for m in modes)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("path.read_text()", True), ("path.read_text('utf-8')", False), ("open(x)", True),
        ("path.write_text(text)", True), ("path.write_text(text, 'ascii')", False),
        ("open(x, 'rb')", False), ("path.open('a')", True), ("fs.open(name)", False),
        ("path.open('w', encoding='utf-8')", False), ("run(x, text=True)", True),
        ("io.TextIOWrapper(raw)", True), ("write_text(path, text)", False),
        ("av.open(path, 'w')", False), ("path.open(mode='w')", True), ("open(x, mode='wb')", False),
    ],
)  # fmt: skip
def test_text_without_encoding_is_found(code, expected):
    assert is_text_without_encoding(ast.parse(code).body[0].value) is expected


def test_text_files_name_their_encoding():
    found = [f"{p}:{n.lineno}" for n, p in nodes(ast.Call) if is_text_without_encoding(n)]
    assert not found


def test_the_package_works_where_nothing_of_unix_is(tmp_path):
    """As on Windows: no resource, no /proc, no forks, and a console that knows few letters."""
    code = (
        "import importlib, os, pathlib, pkgutil, sys\n"
        "import fer_zoo, torch, timm, matplotlib.pyplot, sklearn, scipy\n"  # theirs are ready
        "sys.modules['resource'] = None\n"
        "for name in ('fork', 'register_at_fork', 'sched_getaffinity', 'getuid'):\n"
        "    delattr(os, name)\n"
        "importlib.import_module('fer_zoo.inference.forks')\n"
        "for module in ('benchmark', 'provenance', 'inference.reading', 'exporting.speed',\n"
        "               'training', 'hub', 'publishing', 'cli.predict'):\n"
        "    importlib.import_module('fer_zoo.' + module)\n"
        "from fer_zoo.inference.reading import *\n"
        "from fer_zoo.cli import main\n"
        "sys.exit(main(['predict', '--model', 'vgg_small', *sys.argv[1:]]))\n"
    )
    face = tmp_path / "Gesicht \u7b11 \xfc.png"
    Image.new("L", (48, 48), 90).save(face)
    done = subprocess.run(
        [sys.executable, "-c", code, str(face)],
        capture_output=True, cwd=PACKAGE.parent, env={**os.environ, "PYTHONIOENCODING": "cp1252"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode("cp1252")
    assert b"Gesicht \\u7b11 \xfc.png" in done.stdout


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_names_of_files_are_written_as_the_console_can(encoding, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding=encoding))
    monkeypatch.setattr("fer_zoo.cli.list.run", lambda args: print("caf\xe9 \u7b11 \udcff") or 0)
    assert main(["list"]) == 0
    sys.stdout.flush()
    expected = {
        "cp1252": b"caf\xe9 \\u7b11 \xff\n",
        "ascii": b"caf\\xe9 \\u7b11 \xff\n",
        "utf-8": "caf\xe9 \u7b11 ".encode() + b"\xff\n",
    }
    assert raw.getvalue() == expected[encoding]


def test_peak_memory_is_none_where_the_system_does_not_tell(monkeypatch, tmp_path):
    monkeypatch.setattr(benchmark, "_STATUS", tmp_path / "none")
    monkeypatch.setattr(benchmark.importlib.util, "find_spec", lambda name: None)
    assert benchmark._peak_memory(torch.device("cpu")) is None


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux has both")
def test_peak_memory_is_the_same_by_either_way(monkeypatch, tmp_path):
    here = benchmark._peak_memory(torch.device("cpu"))
    monkeypatch.setattr(benchmark, "_STATUS", tmp_path / "none")
    there = benchmark._peak_memory(torch.device("cpu"))
    assert 10 < here <= there * 1.01


def test_files_are_flushed_by_a_handle_that_may_write(monkeypatch, tmp_path):
    """Windows refuses to flush a file that is open for reading."""
    fcntl = pytest.importorskip("fcntl")
    flushed = []

    def fsync(handle):
        if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        flushed.append(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    atomic.write_text(tmp_path / "a", "text\n")
    with atomic.replacing(tmp_path / "b") as partial:
        partial.write_text("text", "utf-8")
    assert len(flushed) == 2 and (tmp_path / "a").read_bytes() == b"text\n"


def test_a_file_is_not_replaced_while_it_is_open(monkeypatch, tmp_path):
    """Windows refuses to."""
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("only Linux tells which files are open")
    from fer_zoo.cli._csv import Columns, open_csv

    replace = Path.replace

    def strict(self, target):
        held = {os.path.realpath(fd) for fd in Path("/proc/self/fd").iterdir()}
        assert not {str(self), str(target)} & held, f"{target} is open"
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", strict)
    columns = Columns(("happy",), "settings")
    for resume in (False, True):
        open_csv(tmp_path / "faces.csv", columns, resume, lambda rows: None).close()
    assert (tmp_path / "faces.csv").read_text("utf-8").startswith("path,")
