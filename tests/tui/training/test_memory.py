"""What the training screen knows of memory."""

import sys

import pytest

from shakegpt.system import device
from shakegpt.tui.training.memory import GpuUsage, gpu_in_use, process_memory


def test_this_process_holds_memory() -> None:
    held = process_memory()
    assert held is not None
    assert held > 10_000_000


@pytest.mark.parametrize(
    ("said", "shown"),
    [(None, None), ((3, 8, 0.5), GpuUsage(used=3, total=8, busy=0.5)), ((1, 2, None), GpuUsage(used=1, total=2))],
)
def test_a_gpu_is_asked_through_the_engine(
    monkeypatch: pytest.MonkeyPatch, said: tuple[int, int, float | None] | None, shown: GpuUsage | None
) -> None:
    monkeypatch.setattr(device, "gpu_usage", lambda: said)
    assert gpu_in_use() == shown


def test_a_gpu_is_not_asked_before_torch_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "gpu_usage", lambda: (1, 2, None))
    monkeypatch.delitem(sys.modules, "torch")
    assert gpu_in_use() is None
