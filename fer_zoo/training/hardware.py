"""What the machine is, and what it gains from."""

import platform
from pathlib import Path
from typing import Any

import numpy
import timm
import torch
import torchvision

_CPUINFO = Path("/proc/cpuinfo")


def gains_from_bfloat16(device: torch.device) -> bool:
    """Says whether bfloat16 autocast speeds up training here.

    On CPUs that is so with AMX, and with AVX-512 BF16 on AMD's cores (measured on EPYC: 1.6 to
    1.95 times on dense 3x3 convolutions). Intel's cores without AMX, as virtual machines may show
    them, have AVX-512 BF16 and lose by it (measured on a Xeon of family 6, model 207: 0.5 to 0.95
    times float32 over the models of this package); without either, bfloat16 is emulated.

    Args:
        device: Where to compute.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device.type != "cpu" or not _CPUINFO.is_file():
        return False
    words = set(_CPUINFO.read_text().split())
    return "amx_bf16" in words or {"avx512_bf16", "AuthenticAMD"} <= words


def gains_from_channels_last(device: torch.device) -> bool:
    """Says whether channels_last speeds up convolutions here.

    On CPUs it does in float32 too (measured with AVX2 alone: 1.1 to 1.25 times on ResNet-18 at
    32 to 48 pixels); GPUs want it together with bfloat16.

    Args:
        device: Where to compute.
    """
    return device.type == "cpu" or gains_from_bfloat16(device)


def describe_hardware(device: torch.device) -> str:
    """Returns the processor in words, such as ``"AMD EPYC, 2 threads"``."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    name = platform.processor() or platform.machine()
    if _CPUINFO.is_file():
        lines = [x for x in _CPUINFO.read_text().splitlines() if x.startswith("model name")]
        name = lines[0].split(":", 1)[1].strip() if lines else name
    return f"{name}, {torch.get_num_threads()} threads"


def versions() -> dict[str, Any]:
    """Returns the versions that shape a number."""
    modules = {"torch": torch, "torchvision": torchvision, "timm": timm, "numpy": numpy}
    found = {name: module.__version__ for name, module in modules.items()}
    return {"python": platform.python_version(), **found}
