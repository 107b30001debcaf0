"""Shows why the report's TransFER stayed at chance under Adam, one change at a time.

With Adam, Lee's TransFER named 25 % of the faces correctly, the share of the largest class. This
script trains our version, with a trained ResNet-18 stem as in the report, for a few steps: with the
report's choices (post-norm, no warm-up, a large encoder, MAD by element without rescaling), with
those of fer_zoo, and with one choice changed from either side. Faces are 32x32 and batches have 32,
as in the report; its encoder is 2048 x 8, this one 768 x 8. Both sides use PyTorch's encoder
layers, so that the initialisation is the same. The same command continues after an interruption.

    python examples/why_adam_failed.py fer2013.csv out --steps 200
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fer_zoo.atomic import write_text
from fer_zoo.data import FER2013, BatchAugment
from fer_zoo.figures import figure
from fer_zoo.inference.device import gains_from_bfloat16
from fer_zoo.models import create_model
from fer_zoo.preprocessing import preprocessing_of
from fer_zoo.provenance import describe_hardware

SIDE, BATCH = 32, 32


@dataclass(frozen=True)
class Setting:
    """The choices that may be at fault."""

    pre_norm: bool = True
    warm_up: bool = True
    small: bool = True  # 192 x 4, or 768 x 8
    whole_maps: bool = True

    @property
    def size(self) -> dict[str, int]:
        """Width and depth of the encoder."""
        width, depth = (192, 4) if self.small else (768, 8)
        return {"embed_dim": width, "depth": depth}


OURS = Setting()
REPORT = Setting(pre_norm=False, warm_up=False, small=False, whole_maps=False)
CHOICES = {
    "pre_norm": ("pre-norm", "post-norm"),
    "warm_up": ("warm-up", "no warm-up"),
    "small": ("192 x 4", "768 x 8"),
    "whole_maps": ("MAD on whole maps", "MAD by element"),
}


class ElementDrop(nn.Module):
    """Zeroes single elements and does not rescale the others, as the report's code does."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns ``x`` with 60 % of its elements zeroed in training."""
        return x * (torch.rand_like(x) >= 0.6) if self.training else x


def build(setting: Setting) -> nn.Module:
    """Returns the model of a setting: its stem is trained, the rest is not."""
    args = {"img_size": SIDE, **setting.size}
    model: Any = create_model("transfer_concat", **args)
    stem = create_model("resnet18", pretrained=True).state_dict()
    model.stem.load_state_dict({name: stem[name] for name in model.stem.state_dict()})
    width = setting.size["embed_dim"]
    layer: dict[str, Any] = {"dropout": 0.0, "batch_first": True, "norm_first": setting.pre_norm}
    blocks = [nn.TransformerEncoderLayer(width, 8, width, **layer) for _ in model.blocks]
    model.blocks = nn.Sequential(*blocks)
    if not setting.pre_norm:
        model.norm = nn.Identity()  # each layer ends in one
    if not setting.whole_maps:
        model.map_drop = ElementDrop()
    return model


def train(
    setting: Setting, faces: FER2013, val: FER2013, steps: int, lr: float, seed: int
) -> dict[str, Any]:
    """Trains a setting with Adam; returns its losses and its accuracy on PublicTest."""
    torch.manual_seed(seed)
    model: Any = build(setting)
    preprocessing = replace(preprocessing_of(model), size=(SIDE, SIDE))
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    ramp = max(1, steps // 6) if setting.warm_up else 1
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: min(1.0, (i + 1) / ramp))
    bfloat16 = gains_from_bfloat16(torch.device("cpu"))
    augment, losses = BatchAugment(erase=0.0), []
    for _ in range(steps):
        chosen = torch.randint(len(faces), (BATCH,))
        x = augment(faces.images[chosen], augment.draw(BATCH), preprocessing)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            logits = model(x)
        loss = F.cross_entropy(logits.float(), faces.targets[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    model.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        parts = [model(preprocessing.tensor(x)) for x in val.images.split(256)]
    accuracy = float((torch.cat(parts).argmax(dim=1) == val.targets).float().mean())
    return {"losses": losses, "accuracy": accuracy}


def settings() -> dict[str, Setting]:
    """Returns both sides, and each side with one choice of the other."""
    found = {"the report's": REPORT}
    for choice, (ours, _) in CHOICES.items():
        found[f"the report's, but {ours}"] = replace(REPORT, **{choice: True})
    found["fer_zoo's"] = OURS
    for choice, (_, theirs) in CHOICES.items():
        found[f"fer_zoo's, but {theirs}"] = replace(OURS, **{choice: False})
    return found


def draw(records: list[dict[str, Any]], path: Path) -> None:
    """Draws the losses, each a mean over 20 steps; a panel per side."""
    with figure(path, 4.2) as drawn:
        panels = drawn.subplots(2, 1, sharex=True)
        for axes, side in zip(panels, ("the report's", "fer_zoo's"), strict=True):
            for record in records:
                if record["name"].startswith(side):
                    label = record["name"].partition(", but ")[2] or "as they are"
                    n = min(20, len(record["losses"]))
                    means = torch.tensor(record["losses"]).unfold(0, n, n).mean(dim=1)
                    axes.plot(n * torch.arange(1, len(means) + 1), means, label=label)
            axes.set(ylabel="training loss", title=f"{side} choices, or one other")
            axes.grid()
            if axes.lines:
                axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1))
        panels[1].set_xlabel("step")


def main(argv: Sequence[str] | None = None) -> None:
    """Trains every setting; writes records and a picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", help="FER-2013: fer2013.csv, emotion folders, a zip or an npz")
    parser.add_argument("out", type=Path, help="folder for why_adam_failed.json and .png")
    parser.add_argument("--steps", type=int, default=200, help="optimizer steps of 32 faces (200)")
    parser.add_argument("--lr", type=float, default=1e-3, help="learning rate of Adam (1e-3)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)

    faces = FER2013(args.data, "train")
    val = FER2013(args.data, "val", exclude_leaks=False)
    args.out.mkdir(parents=True, exist_ok=True)
    path, records = args.out / "why_adam_failed.json", []
    done = json.loads(path.read_text()) if path.is_file() else []
    hardware = describe_hardware(torch.device("cpu"))
    for name, setting in settings().items():
        given = {"name": name, "setting": asdict(setting), "steps": args.steps, "lr": args.lr,
                 "seed": args.seed}  # fmt: skip
        record = next((r for r in done if given.items() <= r.items()), None)
        if record is None:
            result = train(setting, faces, val, args.steps, args.lr, args.seed)
            record = {**given, "hardware": hardware, **result}
        records.append(record)
        last = sum(record["losses"][-20:]) / len(record["losses"][-20:])
        print(f"{name:<36} loss {last:.3f}, PublicTest {100 * record['accuracy']:.2f} %")
        write_text(path, json.dumps(records) + "\n")  # after each, as the script may be stopped
        draw(records, args.out / "why_adam_failed.png")


if __name__ == "__main__":
    main()
