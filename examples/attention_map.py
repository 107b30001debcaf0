"""Shows where DACL's self-attention looks in a face.

Draws the face beside how much each of the 3x3 positions of the last map is looked at, averaged over
the positions that look. Without a photograph it takes scikit-image's portrait by NASA, whose face
it finds first. Needs ``pip install "fer_zoo[demo]"``.

    python examples/attention_map.py [FACE] --save attention.png
"""

import argparse
from collections.abc import Sequence

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torch import Tensor

import fer_zoo
from fer_zoo.inference.detection import MtcnnDetector, crop_face


def attention_of(model: torch.nn.Module, face: Tensor) -> Tensor:
    """Returns how much each position is looked at, (H, W), summing to 1.

    Args:
        model: A DACL.
        face: Preprocessed input (1, C, H, W).
    """
    seen = []
    hook = model.attention.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        model(face)
        weights = model.attention.attention_map(seen[0]).mean(dim=1)  # (1, H*W)
    hook.remove()
    return weights.view(seen[0].shape[2:])


def main(argv: Sequence[str] | None = None) -> None:
    """Writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("face", nargs="?", help="an image of a face, cut out")
    parser.add_argument("--model", default="dacl", help="a DACL: name or run folder (dacl)")
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
    weights = attention_of(model, tensor.unsqueeze(0))

    height, width = tensor.shape[-2:]
    figure, axes = plt.subplots(1, 2, figsize=(6, 3), layout="constrained")
    axes[0].imshow(tensor[0].numpy(), cmap="gray")
    axes[0].set_title(fer_zoo.Predictor(model)(face).label)
    axes[1].imshow(tensor[0].numpy(), cmap="gray")
    overlay = axes[1].imshow(weights.numpy(), alpha=0.5, extent=(0, width, height, 0))
    axes[1].set_title("self-attention")
    figure.colorbar(overlay, ax=axes[1], label="share of attention")
    for ax in axes:
        ax.set_axis_off()
    figure.savefig(args.save, dpi=150)
    plt.close(figure)
    print(f"most looked at: {100 * weights.max():.1f} % of the attention; wrote {args.save}")


if __name__ == "__main__":
    main()
