"""Names the expression of every face in a photograph, and draws it.

Without a photograph it takes the portrait of Eileen Collins (NASA, public domain) that comes with
scikit-image. Needs ``pip install "fer_zoo[demo]"``.

    python examples/predict_photo.py [PHOTO] --save labelled.png
"""

import argparse
from collections.abc import Sequence

from PIL import Image

import fer_zoo
from fer_zoo.inference.drawing import draw_faces


def main(argv: Sequence[str] | None = None) -> None:
    """Prints a line per face."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photo", nargs="?", help="an image file; by default a portrait by NASA")
    parser.add_argument("--model", default="dacl", help="model name or run folder (dacl)")
    parser.add_argument("--save", metavar="FILE", help="write a copy with boxes and labels")
    args = parser.parse_args(argv)

    if args.photo:
        photo = Image.open(args.photo)
    else:
        from skimage import data

        photo = Image.fromarray(data.astronaut())

    predictor = fer_zoo.Predictor(args.model, detect=True)
    faces = predictor(photo)
    if not faces:
        print("no face found")
    for face in faces:
        x0, y0, x1, y1 = face.box
        shares = ", ".join(f"{name} {100 * p:.1f} %" for name, p in face.top(3))
        print(f"face at ({x0:.0f}, {y0:.0f})-({x1:.0f}, {y1:.0f}) looks {face.label}: {shares}")
    if args.save:
        texts = [(face.box, f"{face.label} {100 * face.probability:.0f} %") for face in faces]
        draw_faces(photo, texts).save(args.save)
        print(f"wrote {args.save}")


if __name__ == "__main__":
    main()
