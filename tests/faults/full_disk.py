"""Fills the disk and makes it read-only while training and predicting; root on Linux only.

    sudo python tests/faults/full_disk.py

The disk is a small tmpfs, mounted in a folder of its own and unmounted at the end.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from forked import start
from kill_training import PRELOADED, arguments, half_written, result, write_faces
from many_faces import write_faces as write_album

from fer_zoo import create_model
from fer_zoo.training.checkpoint import load_checkpoint

assert PRELOADED


@contextlib.contextmanager
def disk(folder, mib):
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder):
    """Takes all room that is left."""
    with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
        while file.write(bytes(2**16)):
            pass


def refused(argv, errors, *says):
    """Runs a command that must end with exit code 2 and a plain error."""
    _, status = os.waitpid(start(argv, errors), 0)
    said(status, errors, *says)


def said(status, errors, *says):
    text = errors.read_text()
    assert os.waitstatus_to_exitcode(status) == 2, text
    assert "Traceback" not in text and all(word in text for word in says), text
    print(f"  {text.strip()}")


def main():
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        data, errors = root / "fer2013.npz", root / "errors"
        write_faces(data)
        os.waitpid(start(arguments(data, root / "whole", 8)), 0)
        expected = result(root / "whole")
        needed = sum(file.stat().st_size for file in (root / "whole").iterdir()) / 2**20

        print("a disk that is too small is refused before training:")
        with disk(root / "small", int(needed)) as small:
            refused(arguments(data, small / "run", 8), errors, "MiB free", "MiB are needed")
            print("a read-only one as well:")
            subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
            refused(arguments(data, small / "run", 8), errors, "Read-only file system")

        print("a disk that fills up later:")
        with disk(root / "later", 4 * int(needed)) as later:
            run = later / "run"
            pid = start(arguments(data, run, 8), errors)
            while not (run / "log.jsonl").exists() or not (run / "log.jsonl").read_text():
                time.sleep(0.001)
            fill(later)
            _, status = os.waitpid(pid, 0)
            said(status, errors, "0 MiB free", "unharmed")
            done = load_checkpoint(run)["epoch"]
            create_model(run, pretrained=True)
            assert done < 8 and not half_written(run)
            (later / "filler").unlink()
            _, status = os.waitpid(start([*arguments(data, run, 8), "--resume"], errors), 0)
            assert status == 0, errors.read_text()
            assert result(run) == expected
            print(
                f"  stopped after epoch {done} of 8; with room again, it resumed to the same bits"
            )

        print("predictions:")
        write_album(root / "album", 1000)
        with disk(root / "table", 1) as table:
            with (table / "filler").open("wb") as file:
                file.write(bytes(2**20 - 2**16))
            command = ["predict", str(root / "album"), "--model", str(root / "whole")]
            command += ["--csv", str(table / "out.csv")]
            refused(command, errors, "No space left", "--resume")
            (table / "filler").unlink()
            _, status = os.waitpid(start([*command, "--resume"], errors), 0)
            assert os.waitstatus_to_exitcode(status) == 1, errors.read_text()
            rows = (table / "out.csv").read_text().splitlines()
            assert len(rows) == 991 and len(set(rows)) == 991
            print("  with room again, it resumed to 990 rows")


if __name__ == "__main__":
    sys.exit(main())
