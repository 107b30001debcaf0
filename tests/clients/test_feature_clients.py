"""Grad-CAM, hooks and segmentation stand on ``feature_info``, as they do with timm's own models."""

import pytest
import torch

import fer_zoo

#: Warnings of a client are not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")

NATIVE = [name for name in fer_zoo.list_models() if not name.endswith("_224")]
every_model = pytest.mark.parametrize("name", NATIVE)


@every_model
@torch.no_grad()
def test_hooks_on_the_modules_of_feature_info_are_called(name):
    model = fer_zoo.create_model(name).eval()
    seen = {}
    for info in model.feature_info:
        module = model.get_submodule(info["module"])
        module.register_forward_hook(lambda m, i, out, n=info["module"]: seen.update({n: out}))
    model(torch.randn(1, 1, 48, 48))
    assert list(seen) == [info["module"] for info in model.feature_info]
    for info in model.feature_info:
        out = seen[info["module"]]
        assert out.shape[1 if out.ndim == 4 else 2] == info["num_chs"]


@every_model
def test_grad_cam_on_each_map(name):
    cam = pytest.importorskip("pytorch_grad_cam", reason="grad-cam is not installed")
    shipped = bool(fer_zoo.list_models(f"{name}.*", pretrained=True))
    model = fer_zoo.create_model(name, pretrained=shipped).eval()
    prefix = getattr(model, "num_prefix_tokens", 0)

    def as_map(features):
        if features.ndim == 4:
            return features
        tokens = features[:, prefix:]  # (N, branches * 6 * 6, D)
        return tokens.reshape(len(tokens), -1, 6, 6, tokens.shape[2]).mean(1).permute(0, 3, 1, 2)

    names = [info["module"] for info in model.feature_info[-2:]]
    if prefix:  # after the last block the head sees the class token alone, as in a ViT
        names[-1] = f"blocks.{len(model.blocks) - 1}.norm1"
    for layer in names:
        explain = cam.GradCAM(model, [model.get_submodule(layer)], reshape_transform=as_map)
        heat = explain(torch.randn(2, 1, 48, 48), targets=None)
        assert heat.shape == (2, 48, 48) and heat.max() > 0


def smp_accepts(reductions):
    """Whether maps halve as segmentation_models_pytorch asks it of timm's models."""
    return any(reductions == [2 ** (i + k) for i in range(len(reductions))] for k in (0, 1, 2))


@pytest.mark.parametrize("name", [*NATIVE, "resnet18_224", "dacl_224", "vgg_224"])
@torch.no_grad()
def test_segmentation_takes_encoders_whose_maps_halve(name):
    smp = pytest.importorskip(
        "segmentation_models_pytorch", reason="segmentation_models_pytorch is not installed"
    )
    with torch.device("meta"):
        reductions = fer_zoo.create_model(name, features_only=True).feature_info.reduction()
    depth = min(len(reductions), 5)
    options = {
        "in_channels": 1, "classes": 2, "encoder_weights": None, "encoder_depth": depth,
        "decoder_channels": (32, 16, 16, 8, 8)[:depth],
    }  # fmt: skip
    if smp_accepts(reductions):
        net = smp.Unet(f"tu-fer_{name}", **options).eval()
        assert net(torch.randn(1, 1, 64, 64)).shape == (1, 2, 64, 64)
    else:
        with pytest.raises(ValueError, match="downsampling pattern"):
            smp.Unet(f"tu-fer_{name}", **options)
