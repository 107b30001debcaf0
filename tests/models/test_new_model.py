"""A new model in a package of its own, as docs/contributing.md says, passes the whole contract."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fer_zoo

ROOT = Path(__file__).parents[2]

FER_TOY = '''
"""A toy: two stages and a head."""

from pathlib import Path

from timm.models import generate_default_cfgs, register_model
from torch import nn

from fer_zoo.layers import ClassifierHead, conv_layer
from fer_zoo.models import FaceModel, build, default_cfg

default_cfgs = generate_default_cfgs(
    {
        "fer_toy.demo": default_cfg(
            first_conv="stages.0.0.conv", classifier="head.fc", pool_size=(3, 3),
            file=str(Path(__file__).parent / "toy_weights"),
        ),
    }
)


class Toy(FaceModel):
    """Stages of one convolution, each with half the positions of the one before."""

    def __init__(self, num_classes=7, in_chans=1, global_pool="avg", drop_rate=0.0,
                 device=None, dtype=None):
        super().__init__()
        dd = {"device": device, "dtype": dtype}
        widths = (in_chans, 8, 16, 24, 32)
        self.stages = nn.Sequential(
            *(nn.Sequential(conv_layer(a, b, stride=2, **dd)) for a, b in zip(widths, widths[1:]))
        )
        self.describe_stages(in_chans, channels=widths[1:], reductions=(2, 4, 8, 16))
        head = ClassifierHead(32, num_classes, global_pool, drop_rate=drop_rate, **dd)
        self.set_head(head, num_classes)


@register_model
def fer_toy(pretrained=False, **kwargs):
    """The toy for 48-pixel faces."""
    features = {"feature_cls": "getter", "out_indices": (0, 1, 2, 3)}
    return build(Toy, "fer_toy", pretrained, feature_cfg=features, **kwargs)
'''

WEIGHTS = """
import sys, fer_toy, fer_zoo
fer_zoo.save_pretrained(fer_zoo.create_model("toy"), sys.argv[1] + "/toy_weights")
assert fer_zoo.list_models("toy", pretrained=True) == ["toy.demo"]
model = fer_zoo.create_model("toy", pretrained=True)
assert fer_zoo.models.weights.record_of(model).sha256
"""


@pytest.fixture
def toy(tmp_path):
    """A folder with the module fer_toy and its weights; and the environment that finds it."""
    (tmp_path / "fer_toy.py").write_text(FER_TOY)
    folders = [str(tmp_path), str(Path(fer_zoo.__file__).parents[1])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
    subprocess.run([sys.executable, "-c", WEIGHTS, tmp_path], env=env, check=True, timeout=120)
    return env


CONTRACT = ("test_models.py", "test_features.py", "test_trainable.py", "test_export.py")


def test_the_contract_holds_for_a_new_model(toy):
    files = [f"tests/models/{file}" for file in CONTRACT]
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-p", "fer_toy", "-k", "toy", *files],
        cwd=ROOT, env=toy, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    passed = int(done.stdout.split(" passed")[0].split()[-1])
    assert passed > 20
