"""Computing in a process that was forked from one that had computed."""

import os

import torch

_forked = False


def _mark() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark)


def use_one_thread_after_fork() -> None:
    """Keeps torch from waiting forever for threads that did not survive a fork.

    Where GNU's OpenMP has started threads before the fork, the child's first parallel region waits
    for them. A single thread enters none.
    """
    if _forked and torch.get_num_threads() > 1:
        torch.set_num_threads(1)
