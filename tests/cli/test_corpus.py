"""``shakegpt corpus``, and the bar that is drawn while a text is fetched."""

import sys
from contextlib import suppress
from pathlib import Path

import pytest

from shakegpt.cli.corpus import download_bar
from shakegpt.data.catalog import CORPUS_PATH_VARIABLE, TINY_SHAKESPEARE_SHA256
from tests.cli.cli_results import Invoke, objects, one_sentence


def test_corpus_add_and_list(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "lear.txt"
    path.write_bytes("Ophélie".encode("latin-1"))
    assert "byte 3 is 0xe9" in one_sentence(invoke("corpus", "add", str(path)), 1)
    (result,) = objects(invoke("corpus", "add", str(path), "--encoding", "latin-1", "--json").stdout)
    assert (result["name"], result["characters"]) == ("lear", 7)
    (listed,) = objects(invoke("corpus", "list", "--json").stdout)
    assert [row["name"] for row in listed["corpora"]] == ["tiny-shakespeare", "demo", "lear"]
    assert listed["corpora"][0]["path"] is None
    assert "lear" in invoke("corpus", "list").stdout


@pytest.mark.parametrize(
    ("data", "name", "code", "message"),
    [
        (b"", "x.txt", 1, "is empty"),
        (None, "x.txt", 1, "cannot be read: No such file"),
        (b"text", "my play.txt", 2, "choose one with --name"),
        (b"text", "demo.txt", 2, "cannot be called 'demo'"),
    ],
)
def test_corpus_add_refuses_in_one_sentence(
    invoke: Invoke, tmp_path: Path, data: bytes | None, name: str, code: int, message: str
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    assert message in one_sentence(invoke("corpus", "add", str(tmp_path / name)), code)


def test_corpus_add_refuses_a_folder(invoke: Invoke, tmp_path: Path) -> None:
    assert "is a folder" in one_sentence(invoke("corpus", "add", str(tmp_path)), 1)


def test_corpus_fetch_finds_the_real_text_offline(
    invoke: Invoke, tiny_shakespeare_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shakegpt.system.files import sha256

    monkeypatch.setenv(CORPUS_PATH_VARIABLE, str(tiny_shakespeare_path))
    (result,) = objects(invoke("corpus", "fetch", "--json").stdout)
    assert result["bytes"] == 1_115_394
    assert sha256(Path(result["path"]).read_bytes()) == TINY_SHAKESPEARE_SHA256


def test_corpus_fetch_without_a_network_names_a_way_out(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    import pooch.core

    monkeypatch.setattr(pooch.core.time, "sleep", lambda _: None)
    assert "--corpus demo" in one_sentence(invoke("corpus", "fetch"), 1)


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


@pytest.mark.parametrize("fetched", [False, True])
def test_the_bar_is_drawn_only_where_something_is_fetched(
    fetched: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    with download_bar() as on_progress:
        assert on_progress is not None
        if fetched:
            on_progress(1000, 2000)
    assert bool(capsys.readouterr().err) is fetched
