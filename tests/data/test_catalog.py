"""Corpora by name: where they are searched, and downloads that succeed, fail, or succeed in the end."""

import gc
import http.server
import itertools
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pooch.core
import pytest

from shakegpt.data import catalog
from shakegpt.data.catalog import (
    CORPUS_PATH_VARIABLE,
    TINY_SHAKESPEARE,
    add_corpus,
    choose_default_corpus,
    find_corpus,
    known_corpora,
)
from shakegpt.errors import CorpusError, UsageError
from shakegpt.system.files import sha256
from shakegpt.system.paths import corpora_folder

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # requests, after a cut

TEXT = b"KING LEAR:\nBlow, winds, and crack your cheeks!\n" * 2_000
Reply = Callable[[http.server.BaseHTTPRequestHandler], None]


@pytest.fixture(autouse=True)
def small_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short text stands in for Tiny Shakespeare: the same checks, fewer bytes."""
    monkeypatch.setattr(catalog, "TINY_SHAKESPEARE_SHA256", sha256(TEXT))


# On this machine


def test_the_demo_text_ships() -> None:
    found = find_corpus("demo")
    assert found.path.is_file()
    assert found.source == "built in"


@pytest.mark.parametrize(
    "name", ["tinyshakespeare.txt", "tiny-shakespeare.txt", "input.txt", "tinyshakespeare/input.txt"]
)
def test_a_folder_on_the_corpus_path_is_searched_before_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / "texts" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(TEXT)
    monkeypatch.setenv(CORPUS_PATH_VARIABLE, f"{tmp_path / 'nowhere'}:{tmp_path / 'texts'}")
    assert find_corpus(TINY_SHAKESPEARE) == catalog.CatalogEntry(TINY_SHAKESPEARE, path, "corpus path")


def test_a_file_on_the_corpus_path_may_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "the bard"
    path.write_bytes(TEXT)
    monkeypatch.setenv(CORPUS_PATH_VARIABLE, str(path))
    assert find_corpus(TINY_SHAKESPEARE).path == path


def test_other_bytes_under_the_right_name_are_not_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "input.txt").write_bytes(TEXT + b"!")
    monkeypatch.setenv(CORPUS_PATH_VARIABLE, str(tmp_path))
    assert not known_corpora()[0].on_disk


def test_an_added_corpus_is_found_by_its_name(tmp_path: Path) -> None:
    added = add_corpus(tmp_path / "lear.txt", "lear", b"Howl, howl, howl, howl!")
    assert find_corpus("lear") == added
    assert added.path.read_bytes() == b"Howl, howl, howl, howl!"
    assert [(corpus.name, corpus.on_disk) for corpus in known_corpora()] == [
        (TINY_SHAKESPEARE, False),
        ("demo", True),
        ("lear", True),
    ]


@pytest.mark.parametrize("name", ["demo", "tiny-shakespeare", "", ".hidden", "a/b", "my play", "x" * 65])
def test_an_invalid_or_reserved_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be called"):
        add_corpus(tmp_path / "lear.txt", name, b"Howl!")
    assert not corpora_folder().exists()


def test_a_corpus_on_the_corpus_path_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lear.txt").write_text("Howl!")
    monkeypatch.setenv(CORPUS_PATH_VARIABLE, str(tmp_path))
    assert find_corpus("lear").path == tmp_path / "lear.txt"


def test_a_known_name_wins_over_a_file_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "demo").write_text("a file")
    monkeypatch.chdir(tmp_path)
    assert find_corpus("demo").source == "built in"
    assert find_corpus("./demo").path.read_text() == "a file"


def test_a_folder_is_not_a_corpus(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="is a folder; give one text file"):
        find_corpus(str(tmp_path))


def test_a_missing_corpus_is_reported_with_the_known_names(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"There is no corpus .*nope.*tiny-shakespeare, demo\."):
        find_corpus(str(tmp_path / "nope.txt"))


# From the network, which is a server on this machine


class CorpusServer(http.server.ThreadingHTTPServer):
    """Answers each request with the next of its replies, and the last one ever after."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.requests = 0
        super().__init__(("127.0.0.1", 0), _Handler)

    def reply(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        self.requests += 1
        (self.replies.pop(0) if len(self.replies) > 1 else self.replies[0])(handler)


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, CorpusServer)
        self.server.reply(self)

    def log_message(self, *_: object) -> None:
        pass


def good(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(TEXT)))
    handler.end_headers()
    handler.wfile.write(TEXT)


def cut(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(TEXT)))
    handler.end_headers()
    handler.wfile.write(TEXT[: len(TEXT) // 2])


def other_bytes(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(TEXT)))
    handler.end_headers()
    handler.wfile.write(TEXT.swapcase())


def not_found(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_error(404)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Retries without pooch's pauses. A download that was cut leaves its socket to the garbage collector."""
    monkeypatch.setattr(pooch.core.time, "sleep", lambda _: None)
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, no_pauses: None) -> Iterator[Callable[..., CorpusServer]]:
    """``serve(cut, good)``: a server whose replies these are, where the text is said to be."""
    servers: list[tuple[CorpusServer, threading.Thread]] = []

    def serve(*replies: Reply) -> CorpusServer:
        server = CorpusServer(*replies)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        monkeypatch.setattr(catalog, "TINY_SHAKESPEARE_URL", f"http://127.0.0.1:{server.server_port}/input.txt")
        return server

    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_download_is_cached_and_not_repeated(serve: Callable[..., CorpusServer]) -> None:
    server = serve(good)
    found = find_corpus(TINY_SHAKESPEARE)
    assert found.path.read_bytes() == TEXT
    assert found.source == "cache"
    assert find_corpus(TINY_SHAKESPEARE) == found
    assert server.requests == 1


def test_a_cached_text_that_was_damaged_is_fetched_again(serve: Callable[..., CorpusServer]) -> None:
    serve(good)
    path = find_corpus(TINY_SHAKESPEARE).path
    path.write_bytes(TEXT[:-1])
    assert find_corpus(TINY_SHAKESPEARE).path.read_bytes() == TEXT


@pytest.mark.parametrize("failure", [cut, other_bytes, not_found])
def test_a_failed_download_is_tried_again(
    serve: Callable[..., CorpusServer], failure: Reply, capfd: pytest.CaptureFixture[str]
) -> None:
    server = serve(failure, failure, good)
    assert find_corpus(TINY_SHAKESPEARE).path.read_bytes() == TEXT
    assert server.requests == 3
    assert capfd.readouterr().err == ""  # nothing from pooch, whose messages name paths that the user did not choose


@pytest.mark.parametrize(
    ("failure", "message"), [(cut, "the connection was cut"), (other_bytes, "SHA-256 differs"), (not_found, "404")]
)
def test_a_download_that_keeps_failing_is_reported_and_leaves_nothing(
    serve: Callable[..., CorpusServer], failure: Reply, message: str
) -> None:
    serve(failure)
    with pytest.raises(CorpusError, match=message) as caught:
        find_corpus(TINY_SHAKESPEARE)
    assert "to go on offline, train on --corpus demo" in str(caught.value)
    assert CORPUS_PATH_VARIABLE in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(corpora_folder().iterdir()) == []


@pytest.mark.usefixtures("no_pauses")
def test_a_download_that_cannot_start_says_what_to_do_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as once:
        url = f"http://127.0.0.1:{once.getsockname()[1]}/input.txt"  # nothing listens on this port any more
    monkeypatch.setattr(catalog, "TINY_SHAKESPEARE_URL", url)
    with pytest.raises(CorpusError, match=r"refused.*--corpus demo"):
        find_corpus(TINY_SHAKESPEARE)


def test_a_cache_that_cannot_be_written_says_so(serve: Callable[..., CorpusServer]) -> None:
    serve(good)
    corpora_folder().parent.parent.mkdir(parents=True, exist_ok=True)
    corpora_folder().parent.write_text("a file where the folder should be")
    with pytest.raises(CorpusError, match="could not be fetched"):
        find_corpus(TINY_SHAKESPEARE)


def test_progress_counts_up_to_the_whole_once_per_attempt(serve: Callable[..., CorpusServer]) -> None:
    serve(cut, good)
    seen: list[tuple[int, int]] = []
    find_corpus(TINY_SHAKESPEARE, on_progress=lambda done, total: seen.append((done, total)))
    assert {total for _, total in seen} == {len(TEXT)}
    assert seen[-1] == (len(TEXT), len(TEXT))
    done = [done for done, _ in seen]
    assert sum(later < earlier for earlier, later in itertools.pairwise(done)) == 1  # starts over once


# Where no corpus is named


def test_the_default_is_fetched_where_the_network_has_it(serve: Callable[..., CorpusServer]) -> None:
    server = serve(good)
    assert choose_default_corpus() == (TINY_SHAKESPEARE, "")
    assert choose_default_corpus() == (TINY_SHAKESPEARE, "")
    assert server.requests == 1


@pytest.mark.parametrize(
    ("reply", "reason"), [(not_found, "404"), (cut, "the connection was cut"), (other_bytes, "SHA-256 differs")]
)
def test_the_default_is_the_play_that_ships_after_one_failed_attempt(
    serve: Callable[..., CorpusServer], reply: Reply, reason: str
) -> None:
    server = serve(reply)
    name, note = choose_default_corpus()
    assert name == "demo"
    assert note.startswith("Tiny Shakespeare could not be fetched (")
    assert note.endswith("): training on the play that ships (demo).")
    assert reason in note
    assert server.requests == 1


def test_a_server_that_does_not_answer_is_given_up(
    serve: Callable[..., CorpusServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "_DEFAULT_SECONDS", 0.05)
    answer = threading.Event()

    def silent(handler: http.server.BaseHTTPRequestHandler) -> None:
        answer.wait(60)

    serve(silent)
    name, note = choose_default_corpus()
    answer.set()
    assert name == "demo"
    assert "could not be fetched" in note
