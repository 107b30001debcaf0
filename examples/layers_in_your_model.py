"""Uses the layers and losses of fer_zoo in a model and a training loop of one's own.

A small network with three local attention branches, of which multi-attention dropping removes one
at a time, and the attentive center loss beside cross-entropy. It learns to tell made-up patterns.

    python examples/layers_in_your_model.py --steps 60
"""

import argparse
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fer_zoo.layers import LocalAttention, MultiAttentionDrop, RelativeSelfAttention2d
from fer_zoo.losses import AttentiveCenterLoss


class TinyNet(nn.Module):
    """Images (N, 1, H, W) -> features (N, 64, H/4, W/4) -> logits (N, num_classes)."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.branches = nn.ModuleList(LocalAttention(64) for _ in range(3))
        self.drop = MultiAttentionDrop(p=0.6)
        self.attention = RelativeSelfAttention2d(64)
        self.head = nn.Linear(64, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """Returns the attended map."""
        x = self.stem(x)
        maps = torch.cat([branch(x) for branch in self.branches], dim=1)  # (N, 3, H/4, W/4)
        return self.attention(x * self.drop(maps).amax(dim=1, keepdim=True))

    def forward(self, x: Tensor) -> Tensor:
        """Returns the logits."""
        return self.head(self.features(x).mean(dim=(2, 3)))


def batch(n: int) -> tuple[Tensor, Tensor]:
    """Makes stripes of four directions in noise, (N, 1, 24, 24), and their direction."""
    target = torch.randint(4, (n,))
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")
    angle = target.view(-1, 1, 1) * torch.pi / 4
    phase = 6 * torch.rand(n, 1, 1)
    stripes = torch.sin(x * torch.cos(angle) + y * torch.sin(angle) + phase)
    return (stripes + torch.randn(n, 24, 24)).unsqueeze(1), target


def main(argv: Sequence[str] | None = None) -> None:
    """Trains and prints the accuracy on new patterns."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=60, help="optimizer steps (60)")
    args = parser.parse_args(argv)

    torch.manual_seed(0)
    model = TinyNet(num_classes=4)
    center_loss = AttentiveCenterLoss(num_classes=4, num_features=64, hidden=(128, 64, 32))
    parameters = [*model.parameters(), *center_loss.parameters()]  # the centers move by themselves
    optimizer = torch.optim.AdamW(parameters, lr=3e-3)
    for _ in range(args.steps):
        images, target = batch(64)
        feature_map = model.features(images)
        pooled = feature_map.mean(dim=(2, 3))
        loss = F.cross_entropy(model.head(pooled), target)
        loss = loss + 0.01 * center_loss(pooled, feature_map, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    model.eval()
    images, target = batch(512)
    with torch.inference_mode():
        accuracy = (model(images).argmax(dim=1) == target).float().mean()
    print(f"accuracy on new patterns after {args.steps} steps: {100 * accuracy:.1f} % (chance 25)")


if __name__ == "__main__":
    main()
