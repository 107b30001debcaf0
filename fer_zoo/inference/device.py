"""The device to compute on, and the number formats that make it faster."""

import torch

from fer_zoo.errors import ConfigError
from fer_zoo.provenance import cpu_features


def choose_device(device: str | torch.device | None = None) -> torch.device:
    """Returns a device; by default CUDA where there is a GPU, else the CPU.

    Args:
        device: A device or its name.

    Raises:
        ConfigError: If this machine has no such device.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"no device {str(device)!r} here ({reason}); try cpu") from error
    if place.type == "meta":
        raise ConfigError("the device 'meta' holds no values, so nothing is computed; try cpu")
    return place


def gains_from_bfloat16(device: torch.device) -> bool:
    """Says whether bfloat16 autocast speeds up training here.

    CPUs gain with AMX, and AMD's with AVX-512 BF16 (measured on EPYC: 1.6 to 1.95 times on dense
    3x3 convolutions). Intel's CPUs with AVX-512 BF16 but without AMX, as in virtual machines, lose
    (measured on a Xeon of family 6, model 207: 0.5 to 0.95 times the speed of float32 over the
    models of this package). Other CPUs emulate bfloat16.

    Args:
        device: Where to compute.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    words = cpu_features()
    return device.type == "cpu" and (
        "amx_bf16" in words or {"avx512_bf16", "AuthenticAMD"} <= words
    )


def gains_from_channels_last(device: torch.device) -> bool:
    """Says whether channels_last speeds up convolutions here.

    CPUs gain in float32 too (measured with AVX2 alone: 1.1 to 1.25 times on ResNet-18 at 32 to 48
    pixels). GPUs gain together with bfloat16.

    Args:
        device: Where to compute.
    """
    return device.type == "cpu" or gains_from_bfloat16(device)


def has_graphs(device: torch.device) -> bool:
    """Says whether a device can capture its work and replay it, as CUDA graphs do.

    Args:
        device: Where to compute.
    """
    return device.type == "cuda"
