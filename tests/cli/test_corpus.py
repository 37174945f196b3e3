"""The bar that is drawn while a text is fetched."""

import sys
from contextlib import suppress

import pytest

from shakegpt.cli.corpus import download_bar


def test_a_download_draws_a_bar_on_a_terminal_and_removes_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    with download_bar() as on_progress:
        assert on_progress is not None
        on_progress(0, 0)  # the server does not say how much there is
        on_progress(600_000, 1_200_000)
        on_progress(1_200_000, 1_200_000)
    drawn = capsys.readouterr()
    assert "Tiny Shakespeare" in drawn.err
    assert "1.2/1.2 MB" in drawn.err
    assert drawn.err.rindex("\x1b[?25h") > drawn.err.rindex("\x1b[?25l")  # the cursor is shown again
    assert drawn.out == ""


def test_a_download_that_fails_leaves_the_cursor_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    with suppress(ConnectionError), download_bar() as on_progress:
        assert on_progress is not None
        on_progress(600_000, 1_200_000)
        raise ConnectionError
    drawn = capsys.readouterr().err
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l")


def test_no_bar_is_drawn_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with download_bar() as on_progress:
        assert on_progress is None
    assert capsys.readouterr().err == ""
