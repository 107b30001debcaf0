"""Finished runs that tests share; do not write into their folders."""

import pytest
import torch
from tiny_training import run


@pytest.fixture(scope="package", autouse=True)
def one_thread():
    """Tiny models lose by more threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="package")
def finished(one_thread, tmp_path_factory):
    """The folder of a finished run of the tiny resnet18."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    run(folder, lr=0.05)
    return folder


@pytest.fixture(scope="package")
def finished_vgg(one_thread, tmp_path_factory):
    """The folder of a finished run of the tiny vgg_small."""
    folder = tmp_path_factory.mktemp("finished") / "vgg_small"
    run(folder, "vgg_small", epochs=1)
    return folder
