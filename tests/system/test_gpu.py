"""What an NVIDIA driver says of a GPU; its bindings are a fake of the same functions and errors."""

import subprocess
import sys
from pathlib import Path

import pytest

from shakegpt.system import gpu
from shakegpt.system.gpu import GpuUsage, gpu_driver, gpu_usage
from tests.fake_cuda import GB, FakeNvml, install_nvml


@pytest.mark.parametrize(
    ("refused", "usage"),
    [
        ([], GpuUsage(used_bytes=2 * GB, total_bytes=8 * GB, busy=0.5, celsius=64)),
        (["nvmlDeviceGetUtilizationRates"], GpuUsage(used_bytes=2 * GB, total_bytes=8 * GB, celsius=64)),
        (["nvmlDeviceGetTemperature"], GpuUsage(used_bytes=2 * GB, total_bytes=8 * GB, busy=0.5)),
        (["nvmlDeviceGetMemoryInfo"], None),
        (["nvmlDeviceGetHandleByUUID"], None),
        (["nvmlInit"], None),
    ],
    ids=lambda value: value[0] if isinstance(value, list) and value else "",
)
def test_the_driver_says_what_it_knows(
    monkeypatch: pytest.MonkeyPatch, refused: list[str], usage: GpuUsage | None
) -> None:
    """A part of a GPU (MIG) has no load and no temperature, and a virtual one may have neither."""
    install_nvml(monkeypatch, FakeNvml(*refused, free=(1 * GB, 6 * GB)))
    assert gpu_usage("GPU-uuid-1") == usage


def test_a_part_of_a_gpu_is_found_by_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    install_nvml(monkeypatch, FakeNvml(free=(6 * GB,), prefix="MIG"))
    usage = gpu_usage("GPU-uuid-0")
    assert usage is not None
    assert usage.used_bytes == 2 * GB


def test_the_gpu_of_another_machine_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    install_nvml(monkeypatch, FakeNvml())
    assert gpu_usage("GPU-uuid-7") is None


def test_a_run_without_a_gpu_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNvml()
    install_nvml(monkeypatch, nvml)
    assert gpu_usage(None) is None
    assert nvml.asked == []


def test_without_the_bindings_there_is_nothing_to_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install_nvml(monkeypatch, None)
    monkeypatch.setattr(gpu, "_DRIVER_VERSION", tmp_path / "missing")
    assert gpu_usage("GPU-uuid-0") is None
    assert gpu_driver() is None


def test_torch_is_not_imported_to_ask() -> None:
    code = "import sys; from shakegpt.system.gpu import *; gpu_usage('GPU-0'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_driver_has_a_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install_nvml(monkeypatch, FakeNvml())
    monkeypatch.setattr(gpu, "_DRIVER_VERSION", tmp_path / "version")
    assert gpu_driver() == "570.86.15"  # as its bindings say
    (tmp_path / "version").write_text(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19\nGCC 12\n"
    )
    assert gpu_driver() == "535.104.05"
