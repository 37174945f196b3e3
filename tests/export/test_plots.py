"""Curves of runs, and where heads look, as pictures."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from shakegpt.errors import ShakegptError, UsageError
from shakegpt.export.plots import plot_attention, plot_runs
from shakegpt.inspection.trace import inspect
from shakegpt.model.language_model import LanguageModel
from shakegpt.runs.run import Run
from shakegpt.runs.snapshot import Curve, Point, Snapshot
from shakegpt.runs.store import Store


def snapshot_of(train: dict[int, float], validation: dict[int, float] | None = None) -> Snapshot:
    curves = [Curve(Point(step, 0.0, 0, loss) for step, loss in each.items()) for each in (train, validation or {})]
    return Snapshot(train=curves[0], validation=curves[1])


def test_an_svg_names_its_runs_and_axes(macbeth: Run, tmp_path: Path) -> None:
    path = tmp_path / "curves.svg"
    plot_runs({"macbeth": macbeth.snapshot(), "hamlet": macbeth.snapshot()}, path)
    texts = [element.text for element in ElementTree.parse(path).iter() if element.text and element.text.strip()]
    assert {"step", "loss (nats per character)", "macbeth, train", "hamlet, validation"} <= set(texts)


def test_a_png_is_one(macbeth: Run, tmp_path: Path) -> None:
    plot_runs({"macbeth": macbeth.snapshot()}, tmp_path / "curves.PNG")
    assert (tmp_path / "curves.PNG").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_equal_runs_give_equal_pictures(macbeth: Run, tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        plot_runs({"macbeth": macbeth.snapshot()}, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_long_curve_is_thinned_and_names_with_dollars_stay(tmp_path: Path) -> None:
    story = snapshot_of({step: 4 - step / 100_000 for step in range(1, 100_001)})
    plot_runs({"a$b$c": story}, tmp_path / "long.svg")
    text = (tmp_path / "long.svg").read_text()
    assert len(text) < 200_000
    assert "a$b$c, train" in text


@pytest.mark.parametrize("name", ["curves", "curves.pdf", "curves.svg.gz"])
def test_only_svg_and_png_are_drawn(name: str, macbeth: Run, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.svg or \.png"):
        plot_runs({"macbeth": macbeth.snapshot()}, tmp_path / name)


def test_a_run_without_a_step_has_nothing_to_draw(tmp_path: Path) -> None:
    with pytest.raises(ShakegptError, match="hamlet has no step yet"):
        plot_runs({"hamlet": Snapshot()}, tmp_path / "curves.svg")


def test_a_file_that_cannot_be_written_is_an_error(macbeth: Run, tmp_path: Path) -> None:
    with pytest.raises(ShakegptError, match="cannot be written"):
        plot_runs({"macbeth": macbeth.snapshot()}, tmp_path / "nowhere" / "curves.svg")


def test_without_matplotlib_the_error_says_what_to_install(
    macbeth: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ShakegptError, match=r"pip install 'shakegpt\[plot\]'"):
        plot_runs({"macbeth": macbeth.snapshot()}, tmp_path / "curves.svg")


def test_the_command_draws_one_run_or_several(invoke: Callable[..., Any], store: Store, tmp_path: Path) -> None:
    path = tmp_path / "curves.svg"
    done = invoke("runs", "show", "macbeth", "--plot", str(path))
    assert (done.exit_code, done.stdout) == (0, f"{path}\n")
    one = path.read_text()
    store.run("macbeth").rename("hamlet")
    assert invoke("runs", "show", "hamlet", "hamlet", "--plot", str(path)).exit_code == 0
    assert "hamlet, train" in path.read_text() != one


def test_where_the_heads_look_is_a_map_for_each(tiny_language_model: LanguageModel, tmp_path: Path) -> None:
    path = tmp_path / "heads.svg"
    plot_attention(inspect(tiny_language_model, "ab:\nc d", muted=[(1, 2)]), path)
    elements = list(ElementTree.parse(path).iter())
    texts = [element.text for element in elements if element.text and element.text.strip()]
    assert {"1.1", "1.2", "1.3", "2.1", "2.2", "2.3 (muted)", "looked at", "looks", "⏎", "␣"} <= set(texts)
    assert sum(element.tag.endswith("image") for element in elements) == 6
    again = tmp_path / "again.svg"
    plot_attention(inspect(tiny_language_model, "ab:\nc d", muted=[(1, 2)]), again)
    assert again.read_bytes() == path.read_bytes()


def test_a_map_of_a_single_character_can_be_drawn(tiny_language_model: LanguageModel, tmp_path: Path) -> None:
    plot_attention(inspect(tiny_language_model, "a"), tmp_path / "heads.png")
    assert (tmp_path / "heads.png").read_bytes().startswith(b"\x89PNG")
