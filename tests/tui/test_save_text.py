"""Saved texts."""

from pathlib import Path

import pytest

from shakegpt.errors import ShakegptError
from shakegpt.tui.save_text import save_text, shown_path


@pytest.mark.parametrize(
    ("title", "name"),
    [("ROMEO:\n", "romeo-1.txt"), ("", "text-1.txt"), ("../../etc/passwd", "etc-passwd-1.txt"), ("日本", "text-1.txt")],
)
def test_a_text_is_named_after_its_title(tmp_path: Path, title: str, name: str) -> None:
    path = save_text("Ay me!", title, tmp_path / "texts")
    assert path == tmp_path / "texts" / name
    assert path.read_text(encoding="utf-8") == "Ay me!\n"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    paths = [save_text(f"take {number}\n", "ROMEO", tmp_path) for number in range(3)]
    assert [path.name for path in paths] == ["romeo-1.txt", "romeo-2.txt", "romeo-3.txt"]
    assert paths[0].read_text(encoding="utf-8") == "take 0\n"


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("in the way")
    with pytest.raises(ShakegptError, match=r"could not be saved in .*texts"):
        save_text("Ay me!", "ROMEO", tmp_path / "texts")


def test_a_path_below_home_is_shown_short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert shown_path(tmp_path / "texts" / "romeo-1.txt") == "~/texts/romeo-1.txt"
