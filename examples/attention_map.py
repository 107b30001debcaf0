"""Shows which parts of a face TransFER's local attention keeps.

Draws the face beside the weight in (0, 1) that multiplies each position of the stem's map: the
largest over the branches. Without a photograph it takes scikit-image's portrait by NASA, and finds
the face in it first. Needs ``pip install "fer_zoo[demo]"``.

    python examples/attention_map.py [FACE] --save attention.png
"""

import argparse
from collections.abc import Sequence

import matplotlib.pyplot as plt
import torch
from PIL import Image

import fer_zoo
from fer_zoo.inference.detection import MtcnnDetector, crop_face


def main(argv: Sequence[str] | None = None) -> None:
    """Writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("face", nargs="?", help="an image of a face, cut out")
    parser.add_argument(
        "--model", default="transfer", help="a TransFER: name or run folder (transfer)"
    )
    parser.add_argument("--save", metavar="FILE", default="attention.png", help="(attention.png)")
    args = parser.parse_args(argv)

    if args.face:
        face = Image.open(args.face)
    else:
        from skimage import data

        photo = Image.fromarray(data.astronaut())
        face = crop_face(photo, MtcnnDetector()(photo)[0].box)

    model = fer_zoo.from_pretrained(args.model).eval()
    tensor = fer_zoo.create_transform(model)(face)
    with torch.inference_mode():
        features = model.stem.forward_features(tensor.unsqueeze(0))  # (1, C, H, W)
        weights = model.attention_map(features)[0, 0]  # (H, W)

    height, width = tensor.shape[-2:]
    figure, axes = plt.subplots(1, 2, figsize=(6, 3), layout="constrained")
    axes[0].imshow(tensor[0].numpy(), cmap="gray")
    axes[0].set_title(fer_zoo.Predictor(model)(face).label)
    axes[1].imshow(tensor[0].numpy(), cmap="gray")
    overlay = axes[1].imshow(
        weights.numpy(), alpha=0.5, vmin=0, vmax=1, extent=(0, width, height, 0)
    )
    axes[1].set_title("local attention")
    figure.colorbar(overlay, ax=axes[1], label="weight")
    for ax in axes:
        ax.set_axis_off()
    figure.savefig(args.save, dpi=150)
    plt.close(figure)
    print(f"weights from {weights.min():.2f} to {weights.max():.2f}; wrote {args.save}")


if __name__ == "__main__":
    main()
