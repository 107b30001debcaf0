"""Predicts a folder of many faces with broken files among them, whole and interrupted.

    python tests/faults/many_faces.py --faces 20000

Checks that memory stays flat, that every broken file is named, that the other predictions are
right, and that a run interrupted by Ctrl-C and then by SIGKILL resumes to the same file without
repeating what it has. Linux only: memory is read from /proc.
"""

import argparse
import csv
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from forked import start
from PIL import Image

from fer_zoo.inference.predictor import Predictor


def write_faces(root, n):
    """Writes n files, every hundredth of them broken; returns the faces and the broken files."""
    rng = np.random.default_rng(0)
    whole, broken = {}, []
    for i in range(n):
        path = root / f"{i % 50:02d}" / f"{i:06d}.png"
        path.parent.mkdir(exist_ok=True, parents=True)
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6), dtype=np.uint8))
        face = coarse.resize((48, 48), Image.Resampling.BICUBIC)
        face.save(path)
        if i % 100 != 99:
            whole[str(path)] = np.asarray(face)
            continue
        data = path.read_bytes()
        broken.append(str(path))
        kinds = [b"", b"no image", data[: len(data) // 2], data[:60] + bytes(60) + data[120:]]
        path.write_bytes(kinds[i // 100 % len(kinds)])
    return whole, broken


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def count_rows(path):
    return path.read_bytes().count(b"\n") - 1 if path.exists() else 0


def peak_memory(pid):
    """Returns the most memory that a process has had, in MiB; 0 once it has ended."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0)


def watch(pid, table, until):
    """Waits for a process to end, or to have written so many rows; returns code and memory."""
    memory = 0
    while True:
        memory = peak_memory(pid) or memory
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), memory
        if until is not None and count_rows(table) >= until:
            return None, memory
        time.sleep(0.02)


def stop(pid, table, after, how):
    code, _ = watch(pid, table, after)
    assert code is None, "it ended too early"
    os.kill(pid, how)
    return watch(pid, table, None)[0]


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--faces", type=int, default=20_000)
    parser.add_argument("--model", default="dacl")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        root, n = Path(scratch), args.faces
        faces, broken = write_faces(root / "faces", n)
        table, pieces, errors = (root / name for name in ("whole.csv", "pieces.csv", "errors"))
        command = ["predict", str(root / "faces"), "--model", args.model, "--csv"]

        began = time.monotonic()
        pid = start([*command, str(table)], errors)
        _, early = watch(pid, table, n // 10)
        code, late = watch(pid, table, None)
        seconds = time.monotonic() - began
        assert code == 1, errors.read_text()
        assert late < early + 50, f"memory grew from {early:.0f} to {late:.0f} MiB"
        named = errors.read_text()
        assert all(f"fer-zoo: {path}: " in named for path in broken)
        assert f"{len(broken)} of {n} not done" in named
        print(f"{n:,} files in {seconds:.0f} s; all {len(broken)} broken files named")
        print(f"peak memory {early:.0f} MiB after {n // 10:,} rows, {late:.0f} MiB at the end")

        found = rows_of(table)
        assert [row[0] for row in found[1:]] == sorted(faces)
        predictor = Predictor(args.model)
        expected = predictor.stream(faces[path] for path in sorted(faces))
        worst = max(
            abs(float(value) - p[0].probabilities[name])
            for row, p in zip(found[1:], expected, strict=True)
            for name, value in zip(found[0][7:-2], row[7:-2], strict=True)
        )
        assert worst < 1e-5
        print(f"{len(faces):,} predictions right: within {worst:.1e} of those from arrays")

        interrupted = stop(start([*command, str(pieces)]), pieces, n // 3, signal.SIGINT)
        first = pieces.read_bytes()
        resume = [*command, str(pieces), "--resume"]
        killed = stop(start(resume), pieces, 2 * n // 3, signal.SIGKILL)
        second = pieces.read_bytes()
        pieces.write_bytes(second[:-20])  # a line that was cut off
        assert (interrupted, killed) == (130, -signal.SIGKILL)
        assert watch(start(resume, errors), pieces, None)[0] == 1
        assert second.startswith(first) and pieces.read_bytes().startswith(second[:-20])
        same = [row[:2] for row in rows_of(pieces)] == [row[:2] for row in found]
        assert same, "the pieces differ from the whole"
        print("interrupted, killed and cut off, it resumed to the same table")


if __name__ == "__main__":
    sys.exit(main())
