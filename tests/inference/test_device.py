import pytest
import torch

from fer_zoo import provenance
from fer_zoo.errors import ConfigError
from fer_zoo.inference import device


@pytest.mark.parametrize(
    ("vendor", "flags", "gains"),
    [
        ("AuthenticAMD", "avx512f avx512_bf16", True),
        ("AuthenticAMD", "avx2", False),
        ("GenuineIntel", "avx512f avx512_bf16 amx_bf16 amx_tile", True),
        ("GenuineIntel", "avx512f avx512_bf16", False),
    ],
)
def test_bfloat16_where_it_is_faster(tmp_path, monkeypatch, vendor, flags, gains):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"vendor_id\t: {vendor}\nmodel name\t: CPU\nflags\t\t: fpu {flags}\n")
    monkeypatch.setattr(provenance, "_CPUINFO", cpuinfo)
    assert device.gains_from_bfloat16(torch.device("cpu")) is gains
    cpuinfo.unlink()
    assert not device.gains_from_bfloat16(torch.device("cpu"))


def test_channels_last_on_cpus():
    assert device.gains_from_channels_last(torch.device("cpu"))


@pytest.mark.parametrize("name", ["gpu", "cpu:x", "cuda:99", ""])
def test_devices_that_are_not_here_are_refused(name):
    with pytest.raises(ConfigError, match=f"no device '{name}' here .*; try cpu"):
        device.choose_device(name)


def test_the_cpu_is_found():
    assert device.choose_device("cpu") == device.choose_device(torch.device("cpu"))
    assert device.choose_device().type in ("cpu", "cuda")
