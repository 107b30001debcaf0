"""Kills training at random moments, resumes it, and compares what comes out with an unbroken run.

    python tests/faults/kill_training.py --kills 30

Each run is a process of ``fer-zoo train`` on synthetic faces. It is killed (SIGKILL) over and over:
every other time at a moment drawn at random, otherwise when it next writes a file after it. After
each kill the checkpoint must be whole; each finished run must have the sha256 of the unbroken run's
weights, and its log apart from the times. Linux and macOS only: processes are forked.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from forked import start

import fer_zoo
from fer_zoo.errors import WeightsError
from fer_zoo.evaluation.plots import save_curves
from fer_zoo.training import train
from fer_zoo.training.checkpoint import load_checkpoint

PRELOADED = (save_curves, train)  # so that a forked process trains at once
TIMES = ("seconds", "images_per_second")


def write_faces(path):
    rng = np.random.default_rng(0)
    n = 48 + 14
    usage = np.array(["Training"] * 48 + ["PublicTest"] * 14)
    pixels = rng.integers(0, 256, (n, 48, 48), dtype=np.uint8)
    np.savez(path, pixels=pixels, emotion=np.arange(n) % 7, usage=usage)


def arguments(data, out, epochs):
    settings = {
        "batch-size": 16, "epochs": epochs, "warmup-epochs": 1, "lr": 0.01,
        "img-sizes": "[[0, 32]]", "precision": "float32", "model-args": '{"hidden": [64, 64]}',
        "ferplus-weight": 0,  # these faces have no votes
    }  # fmt: skip
    flags = [f"--{name}={value}" for name, value in settings.items()]
    return ["train", "alexnet", "--data", str(data), "--out", str(out), "--quiet", *flags]


def finish(argv):
    _, status = os.waitpid(start(argv), 0)
    if status:
        raise SystemExit(f"fer-zoo {' '.join(argv)}: exit code {os.waitstatus_to_exitcode(status)}")


def half_written(folder):
    return [p.name for p in folder.glob(".*.partial-*")] if folder.is_dir() else []


def is_writing(pid, folder):
    """Says whether a process has a file of the folder open, or, without /proc, a partial one."""
    try:
        return any(str(folder) in os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return bool(half_written(folder))


def kill(pid, folder, moment, at_a_write):
    """Kills a process; returns False if it had ended before."""
    began = time.monotonic()
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            if status:
                raise SystemExit(f"training failed: {os.waitstatus_to_exitcode(status)}")
            return False
        late = time.monotonic() - began >= moment
        if late and (not at_a_write or is_writing(pid, folder)):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return True
        if not late or not at_a_write:
            time.sleep(0.001)


def result(folder):
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    log = [{k: v for k, v in record.items() if k not in TIMES} for record in log]
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest(), log


def check_after_kill(folder, seen):
    """The newest checkpoint is whole, and so are the best weights."""
    seen["left a half-written file"] += bool(half_written(folder))
    if not (folder / "last.pt").exists():
        seen["before the first checkpoint"] += 1
        return
    seen[f"epoch {load_checkpoint(folder)['epoch']}"] += 1
    if (folder / "config.json").exists():
        try:
            fer_zoo.create_model(folder, pretrained=True)
        except WeightsError:  # between two renames; resuming heals it
            seen["weights without their config"] += 1


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)  # forked processes have no others
    draw, seen, kills, runs = random.Random(args.seed), Counter(), 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        write_faces(root / "fer2013.npz")
        for name in ("warm", "whole"):
            began = time.monotonic()
            finish(arguments(root / "fer2013.npz", root / name, args.epochs))
        duration, expected = time.monotonic() - began, result(root / "whole")
        while kills < args.kills:
            runs += 1
            folder, done = root / f"run{runs}", False
            command = arguments(root / "fer2013.npz", folder, args.epochs)
            while not done:
                resume = ["--resume"] if (folder / "last.pt").exists() else []
                if kills == args.kills:
                    finish([*command, *resume])
                    break
                moment = draw.uniform(0, duration)
                done = not kill(start([*command, *resume]), folder, moment, kills % 2 == 1)
                if not done:
                    kills += 1
                    check_after_kill(folder, seen)
            if result(folder) != expected:
                raise SystemExit(f"run {runs} ended with other weights or another log")
            if half_written(folder):
                raise SystemExit(f"run {runs} left {half_written(folder)}")
    print(f"{kills} kills in {runs} runs of {args.epochs} epochs; all {runs} ended with the")
    print(f"unbroken run's weights, sha256 {expected[0][:16]}..., and its log")
    for what, count in sorted(seen.items()):
        print(f"  {count:3d} {what}")
    return seen


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
