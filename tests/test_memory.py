"""Memory that stays between batches: fewer cleared pages, the same memory afterwards."""

import os
import platform
import subprocess
import sys
import threading

import pytest

from fer_zoo import memory

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")

_BLOCKS = """
import contextlib, os, resource, sys
from pathlib import Path
from fer_zoo.memory import kept_memory

def faults(n=20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(n):
        b"x" * (40 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() >> 20

outside, start = faults(), resident()
with kept_memory():
    with kept_memory():
        first, inside = faults(2), faults()
    nested, held = faults(), resident()
print(outside, inside, nested, faults(), start, held, resident())
"""


def _run(**env: str) -> list[int]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", _BLOCKS]
    done = subprocess.run(command, env=clean | env, capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


_FORKS = """
import os, threading
from fer_zoo.memory import kept_memory

def enter():
    while True:
        with kept_memory():
            pass

for _ in range(2):
    threading.Thread(target=enter, daemon=True).start()
for _ in range(50):
    if not (child := os.fork()):
        with kept_memory():
            os._exit(0)
    os.waitpid(child, 0)
"""


@glibc
def test_pages_are_cleared_once_and_given_back_at_the_end() -> None:
    outside, inside, nested, after, start, held, end = _run()
    assert min(outside, after) > 300  # 20 blocks of 40 MiB, in huge pages perhaps
    assert inside < outside / 20 and nested < outside / 20
    assert held > start + 30  # the block stays
    assert end < start + 20


@glibc
@pytest.mark.parametrize(
    "name, value", [("MALLOC_ARENA_MAX", "2"), ("GLIBC_TUNABLES", "glibc.malloc.arena_max=2")]
)
def test_what_the_user_sets_stays(name: str, value: str) -> None:
    outside, inside, *_ = _run(**{name: value})
    assert inside > outside / 2


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fer_zoo.memory.ctypes.CDLL", lambda name: object())
    with memory.kept_memory():
        pass


def test_the_last_thread_gives_back(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr(memory, "_set", lambda values: calls.append(values))
    together = threading.Barrier(8)

    def work() -> None:
        for _ in range(50):
            together.wait()
            with memory.kept_memory():
                together.wait()  # all are inside

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [memory._KEEP, memory._USUAL] * 50


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_processes_do_not_wait() -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", _FORKS], check=True, timeout=60)
