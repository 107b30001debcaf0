"""Golden outputs of shipped weights: ``python -m tests.golden`` writes tests/golden/*.json."""

import json
import sys
from pathlib import Path

import torch

import fer_zoo
from fer_zoo.models.weights import embedded_record

FOLDER = Path(__file__).parent / "golden"


def golden_input(cfg):
    """Four patterns of waves and edges that no random generator can change, (4, C, H, W)."""
    channels, height, width = cfg["input_size"]
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.double) / height,
        torch.arange(width, dtype=torch.double) / width,
        indexing="ij",
    )
    faces = [
        0.5
        + 0.5 * torch.sin((3 + k) * x + 5 * y * (1 + k)) * torch.cos(7 * x * y + k)
        + 0.2 * (x > 0.2 * k + 0.1)
        for k in range(4)
    ]
    images = (torch.stack(faces).clamp(0, 1) - cfg["mean"][0]) / cfg["std"][0]
    return images.unsqueeze(1).expand(-1, channels, -1, -1).float()


@torch.no_grad()
def golden_output(name):
    model = fer_zoo.create_model(name, pretrained=True).eval()
    return model(golden_input(model.pretrained_cfg))


def write(name):
    record = embedded_record(f"fer_{name}")
    content = {"sha256": record.sha256, "logits": golden_output(name).tolist()}
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    for name in sys.argv[1:] or fer_zoo.list_models(pretrained=True):
        write(name)
