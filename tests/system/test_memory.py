import sys

import pytest
import torch

from shakegpt.system.memory import GpuUsage, gpu_usage, process_memory


def test_this_process_holds_memory() -> None:
    held = process_memory()
    assert held is not None
    assert 10_000_000 < held < 1e12


@pytest.fixture
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (5, 8))
    monkeypatch.setattr(torch.cuda, "utilization", lambda: 50)


@pytest.mark.usefixtures("fake_gpu")
def test_the_gpu_is_asked_through_torch() -> None:
    assert gpu_usage() == GpuUsage(used_bytes=3, total_bytes=8, busy=0.5)


@pytest.mark.usefixtures("fake_gpu")
def test_without_the_drivers_bindings_nobody_knows_how_busy_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def utilization() -> int:
        raise ModuleNotFoundError("No module named 'pynvml'")

    monkeypatch.setattr(torch.cuda, "utilization", utilization)
    assert gpu_usage() == GpuUsage(used_bytes=3, total_bytes=8)


def test_there_may_be_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_usage() is None


@pytest.mark.usefixtures("fake_gpu")
def test_the_gpu_is_not_asked_before_torch_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    assert gpu_usage() is None
