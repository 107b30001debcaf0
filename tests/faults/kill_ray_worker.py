"""Kills a worker of examples/predict_with_ray.py at work; each image is in the result once.

Writes shards, runs the example by Ray on this machine with two workers, one of which gets a
SIGKILL in the middle of the work, and compares the result with the predictor's in this process.
"""

import argparse
import io
import json
import os
import runpy
import signal
import tarfile
import tempfile
from pathlib import Path

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import numpy as np
import ray
from PIL import Image

EXAMPLE = Path(__file__).parents[2] / "examples" / "predict_with_ray.py"


def write_shards(folder, faces, shards):
    """Writes faces, and a broken image in each shard, as WebDataset; returns them by key."""
    rng, written = np.random.default_rng(0), {}
    folder.mkdir()
    for shard in range(shards):
        with tarfile.open(folder / f"{shard:03}.tar", "w") as tar:
            for i in range(faces // shards):
                file = io.BytesIO()
                pixels = rng.integers(0, 256, (48, 48), dtype=np.uint8)
                Image.fromarray(pixels).save(file, "PNG")
                content = b"no image" if i == 5 else file.getvalue()
                key = f"{shard}-{i}"
                info = tarfile.TarInfo(f"{key}.png")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
                written[key] = content
    return written


def main(argv=None):
    """Runs the example and checks what it wrote."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="vgg_small")
    parser.add_argument("--faces", type=int, default=4000)
    parser.add_argument("--shards", type=int, default=4)
    args = parser.parse_args(argv)
    names = runpy.run_path(str(EXAMPLE))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        written = write_shards(root / "shards", args.faces, args.shards)
        killed = root / "killed"
        victim = list(written)[len(written) * 2 // 3]

        class Killed(names["NameFaces"]):
            def __call__(self, batch):
                if victim in batch["__key__"] and not killed.exists():
                    killed.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
                return super().__call__(batch)

        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        images = names["read"](str(root / "shards" / "*.tar"))
        names["predict"](images, str(root / "out"), args.model, batch_size=16, name_faces=Killed)
        rows = ray.data.read_parquet(str(root / "out")).to_pandas()
        ray.shutdown()
        assert killed.exists(), "no worker was killed"
        check(rows, written, names["NameFaces"](args.model).predictor)
    print(f"{len(rows)} images of {len(written)}, each once, after a killed worker")


def check(rows, written, predictor):
    """Compares the rows with the predictor's answers."""
    assert sorted(rows["key"]) == sorted(written), (len(rows), len(set(rows["key"])), len(written))
    found = {
        key: (f, e) for key, f, e in zip(rows["key"], rows["faces"], rows["error"], strict=True)
    }
    for key, expected in zip(written, predictor.stream(written.values()), strict=True):
        faces, error = found[key]
        if written[key] == b"no image":
            assert faces == "[]" and "no image" in error
        else:
            (face,) = json.loads(faces)
            assert face["label"] == expected[0].label and not error
            for label, probability in expected[0].probabilities.items():
                assert abs(face["probabilities"][label] - probability) < 1e-5


if __name__ == "__main__":
    main()
