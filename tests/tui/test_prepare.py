"""What the app does while its user reads the first screen."""

import gc
from pathlib import Path
from types import SimpleNamespace

import pytest

from shakegpt.system import threads
from shakegpt.tui import prepare as prepare_module
from shakegpt.tui.prepare import prepare


@pytest.mark.parametrize(("modules", "freezes"), [({}, 1), ({"torch": None}, 0)], ids=["alone", "torch-is-there"])
def test_the_collector_leaves_out_what_importing_torch_has_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, modules: dict[str, object], freezes: int
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(prepare_module, "sys", SimpleNamespace(modules=modules))
    monkeypatch.setattr(threads, "configure_process", lambda: calls.append("configured"))
    monkeypatch.setattr(gc, "freeze", lambda: calls.append("frozen"))
    prepare(tmp_path)
    assert calls == ["configured"] + ["frozen"] * freezes
