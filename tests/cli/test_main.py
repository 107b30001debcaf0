import contextlib
import io
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import fer_zoo
from fer_zoo.cli import COMMANDS, main
from fer_zoo.errors import OutputError

ROOT = Path(__file__).parents[2]


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    text = capsys.readouterr().out
    assert stop.value.code == 0
    assert all(f"\n    {name} " in text for name in COMMANDS)
    for name in COMMANDS:
        with pytest.raises(SystemExit) as stop:
            main([name, "--help"])
        assert stop.value.code == 0 and "--" in capsys.readouterr().out


def test_version_and_wrong_usage(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0 and fer_zoo.__version__ in capsys.readouterr().out
    for argv in ([], ["nonsense"], ["predict"], ["evaluate", "dacl"]):
        with pytest.raises(SystemExit) as stop:
            main(argv)
        assert stop.value.code == 2


def test_errors_become_exit_codes(monkeypatch, capsys):
    for error, code, message in [
        (OutputError("disk full"), 2, "fer-zoo: disk full"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (PermissionError(13, "Permission denied", "x"), 2, "fer-zoo: [Errno 13] Permission denied"),
    ]:

        def fail(args, error=error):
            raise error

        monkeypatch.setattr("fer_zoo.cli.list.run", fail)
        assert main(["list"]) == code
        assert message in capsys.readouterr().err
    monkeypatch.setattr("fer_zoo.cli.list.run", lambda args: import_module("torhc.nn"))
    assert main(["list"]) == 2
    assert "fer-zoo: list needs torhc, which is not installed here" in capsys.readouterr().err
    monkeypatch.setattr("fer_zoo.cli.list.run", lambda args: import_module("fer_zoo.nothing"))
    with pytest.raises(ModuleNotFoundError):
        main(["list"])
    monkeypatch.setattr("fer_zoo.cli.list.run", lambda args: 1 // 0)
    with pytest.raises(ZeroDivisionError):  # a fault of ours is not hidden
        main(["list"])


def test_a_closed_pipe_is_no_traceback():
    code = (
        "import sys; from fer_zoo.cli import main; sys.exit(main(['list', 'resnet18', '--json']))"
    )
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    assert done.returncode == 141 and done.stderr == ""


def test_a_full_disk_is_told_plainly(run_folder, album):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    code = "import sys; from fer_zoo.cli import main; sys.exit(main(sys.argv[1:]))"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code, "list", "resnet18"],
            cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.startswith("fer-zoo: cannot write the output: ") and "space" in done.stderr


@pytest.mark.parametrize("command", [["info", "dakl"], ["predict", "--model", "dakl", __file__]])
def test_a_mistyped_model_gets_the_closest_names(command, capsys):
    assert main(command) == 2
    captured = capsys.readouterr()
    assert "did you mean dacl" in captured.err and captured.out == ""


def in_a_fresh_process(code):
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_next_to_nothing(option):
    in_a_fresh_process(
        "import sys\n"
        "from fer_zoo.cli import main\n"
        "try:\n"
        f"    main([{option!r}])\n"
        "except SystemExit as stop:\n"
        "    assert stop.code == 0\n"
        "loaded = {name for name in sys.modules if name.startswith('fer_zoo.')}\n"
        "assert loaded == {'fer_zoo.cli', 'fer_zoo.errors', 'fer_zoo._timm_hook'}, loaded\n"
        "assert not {'torch', 'numpy', 'PIL', 'timm', 'importlib.metadata'} & set(sys.modules)\n"
    )


def test_a_command_imports_no_other():
    in_a_fresh_process(
        "import sys\n"
        "from fer_zoo.cli import COMMANDS, build_parser\n"
        "for name in COMMANDS:\n"
        "    before = set(sys.modules)\n"
        "    build_parser(name)\n"
        "    new = {m for m in set(sys.modules) - before if m.startswith('fer_zoo.cli.')}\n"
        "    assert f'fer_zoo.cli.{name}' in new, (name, new)\n"
        "    assert new <= {f'fer_zoo.cli.{name}', 'fer_zoo.cli._options'}, (name, new)\n"
        "assert 'torch' not in sys.modules\n"
    )


@pytest.mark.parametrize(
    ("argv", "closed", "code", "said"),
    [
        (["list", "resnet18"], "stdout", 0, ""),
        (["list", "resnet18"], "stderr", 0, "resnet18"),
        (["info", "dakl"], "stderr", 2, ""),
        (["predict", "-"], "stdin", 2, "standard input is closed"),
    ],
)
def test_a_stream_that_is_closed_is_no_traceback(argv, closed, code, said):
    program = "import sys; from fer_zoo.cli import main; sys.exit(main(sys.argv[1:]))"
    number = {"stdin": "0<&-", "stdout": "1>&-", "stderr": "2>&-"}[closed]
    done = subprocess.run(
        ["sh", "-c", f'"$@" {number}', "sh", sys.executable, "-c", program, *argv],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == code and "Traceback" not in done.stderr
    assert said in done.stdout + done.stderr
    if closed == "stderr":
        assert "fer-zoo" not in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_letters_that_the_output_lacks_are_escaped(encoding, capsys):
    out = io.TextIOWrapper(io.BytesIO(), encoding)
    with contextlib.redirect_stdout(out):
        assert main(["list", "resnet18", "--json"]) == 0
    print("\u8138 \udcff", file=out, flush=True)
    wanted = "\u8138".encode() if encoding == "utf-8" else b"\\u8138"
    assert out.buffer.getvalue().splitlines()[-1] == wanted + b" \xff"
