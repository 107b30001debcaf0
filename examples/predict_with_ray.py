"""Predicts the faces of WebDataset shards or Parquet files with Ray Data, on one machine or many.

Each worker has a predictor of its own. A worker that dies is replaced, and what it had not finished
is done again: each image is in the result once.

    python examples/predict_with_ray.py 'shards/*.tar' named --model vgg_small
"""

import argparse
import glob
import json
from pathlib import Path

import numpy as np
import ray

#: Parts of a WebDataset's sample that are its image.
IMAGES = ("jpg", "jpeg", "png", "webp", "bmp")


class NameFaces:
    """Adds the predictions to a batch of images; Ray makes one of it in each worker.

    Args:
        model: As of fer_zoo.Predictor, or the file of an export.
        detect: Whether the faces are found first.
    """

    def __init__(self, model, detect=False):
        if model.endswith(".onnx"):
            from fer_zoo.runtime import Predictor
        else:
            from fer_zoo import Predictor
        self.predictor = Predictor(model, detect=detect)

    def __call__(self, batch):
        """Returns a row per image: its key, and its faces as JSON or what was wrong with it."""
        keys, images = keys_and_images(batch)
        rows = {"key": keys, "faces": [], "error": []}
        for result in self.predictor.stream(images):
            failed = isinstance(result, Exception)
            faces = [] if failed else [describe(face) for face in result]
            rows["faces"].append(json.dumps(faces))
            rows["error"].append(str(result) if failed else "")
        return rows


def describe(face):
    """Returns what is kept of a face."""
    return {"label": face.label, "probabilities": face.probabilities, "box": face.box}


def keys_and_images(batch):
    """Returns the names of a batch's images and their bytes.

    Args:
        batch: Columns of a WebDataset (``__key__`` and an image), or ``key`` and ``image``.
    """
    if "image" in batch and "key" in batch:
        return list(batch["key"]), [bytes(image) for image in batch["image"]]
    columns = [batch[name] for name in IMAGES if name in batch]
    if not columns:
        raise ValueError(
            f"no image among {', '.join(batch)}; tar files need one of {', '.join(IMAGES)}, and "
            "Parquet files the columns key and image"
        )
    rows = zip(*columns, strict=True)
    images = [next((image for image in row if image is not None), b"") for row in rows]
    return list(batch["__key__"]), images


def read(pattern):
    """Returns the images of the files that a pattern matches, as Ray reads them."""
    paths = sorted(map(str, map(Path, glob.glob(pattern))))
    if not paths:
        raise SystemExit(f"no file matches {pattern}")
    if paths[0].endswith(".parquet"):
        return ray.data.read_parquet(paths)
    return ray.data.read_webdataset(paths, decoder=None)  # bytes as they are


def predict(images, out, model, workers=2, batch_size=64, detect=False, name_faces=NameFaces):
    """Writes the faces of images as Parquet files.

    Args:
        images: What ``read`` returns.
        out: A folder.
        model: As of ``NameFaces``.
        workers: Predictors at the same time.
        batch_size: Images that a worker gets at once.
        detect: Whether the faces are found first.
        name_faces: What computes.
    """
    cpus = ray.cluster_resources()["CPU"]
    named = images.map_batches(
        name_faces,
        fn_constructor_kwargs={"model": model, "detect": detect},
        concurrency=workers,
        num_cpus=min(1, (cpus - 1) / workers),  # reading needs one too, or all would wait for it
        batch_size=batch_size,
    )
    named.write_parquet(out)


def main(argv=None):
    """Runs the example."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", help="pattern of .tar or .parquet files, quoted")
    parser.add_argument("out", type=Path, help="new folder")
    parser.add_argument("--model", default="dacl")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--detect", action="store_true")
    args = parser.parse_args(argv)
    if args.out.exists():
        raise SystemExit(f"{args.out} exists; give a new folder")
    ray.init(ignore_reinit_error=True)
    predict(
        read(args.images), str(args.out.resolve()), args.model, args.workers, args.batch_size,
        args.detect,
    )  # fmt: skip
    rows = ray.data.read_parquet(str(args.out.resolve())).to_pandas()
    labels = [face["label"] for faces in rows["faces"] for face in json.loads(faces)]
    names, counts = np.unique(labels, return_counts=True)
    failed = int((rows["error"] != "").sum())
    print(f"{len(rows)} images, {len(labels)} faces, {failed} images that cannot be used")
    print(", ".join(f"{name} {n}" for name, n in zip(names, counts, strict=True)))


if __name__ == "__main__":
    main()
