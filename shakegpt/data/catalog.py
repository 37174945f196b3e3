"""The catalog of corpora: the texts that have a name, where each one is, and how Tiny Shakespeare is downloaded."""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shakegpt.errors import CorpusError, UsageError
from shakegpt.system.files import make_folder, replace_file, sha256
from shakegpt.system.paths import asset_path, corpora_folder
from shakegpt.system.text import is_name

TINY_SHAKESPEARE = "tiny-shakespeare"
TINY_SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
TINY_SHAKESPEARE_URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
DEMO = "demo"
CORPUS_PATH_VARIABLE = "SHAKEGPT_CORPUS_PATH"
_TINY_SHAKESPEARE_FILES = ("tiny-shakespeare.txt", "tinyshakespeare.txt", "tinyshakespeare/input.txt", "input.txt")
_ATTEMPTS = 3
_TIMEOUT_SECONDS = 20
_DEFAULT_SECONDS = 5.0
"""How long a download may take to begin where nobody asked for Tiny Shakespeare by name."""

OnProgress = Callable[[int, int], None]
"""Called with the bytes downloaded so far and the bytes in all (0 where the server does not say)."""


@dataclass(frozen=True)
class CatalogEntry:
    """A corpus by its name, and the file it is read from or will be downloaded to."""

    name: str
    path: Path
    source: Literal["built in", "cache", "corpus path", "file", "to be fetched"]

    @property
    def on_disk(self) -> bool:
        """Whether the file is on this machine."""
        return self.source != "to be fetched"


def find_corpus(name: str, *, on_progress: OnProgress | None = None) -> CatalogEntry:
    """Return where a corpus is; Tiny Shakespeare is downloaded when it is nowhere on this machine.

    A name of the catalog wins over a file of that name: ``./demo`` is the file. ``$SHAKEGPT_CORPUS_PATH``, folders or
    files separated as in PATH, is searched before anything is downloaded.

    Raises:
        CorpusError: it cannot be found or downloaded.
    """
    if name == DEMO:
        return CatalogEntry(DEMO, asset_path("corpus/demo.txt"), "built in")
    if name == TINY_SHAKESPEARE:
        entry = _find_tiny_shakespeare()
        return entry if entry.on_disk else _download_tiny_shakespeare(on_progress)
    if is_name(name):
        for candidate in (corpora_folder() / f"{name}.txt", *_corpus_path_files(f"{name}.txt")):
            if candidate.is_file():
                return CatalogEntry(name, candidate, "cache" if candidate.parent == corpora_folder() else "corpus path")
    return _find_file(name)


def choose_default_corpus(*, on_progress: OnProgress | None = None) -> tuple[str, str]:
    """Return the name of the corpus to train on where none is named, and a sentence that says why, or an empty one.

    That is Tiny Shakespeare; or the play that ships, where Tiny Shakespeare is nowhere on this machine and its download
    fails, or has not begun after five seconds.
    """
    if _find_tiny_shakespeare().on_disk:
        return TINY_SHAKESPEARE, ""
    begun_or_ended, given_up = threading.Event(), threading.Event()
    errors: list[Exception] = []

    def report(done: int, total: int) -> None:
        if given_up.is_set():
            raise CorpusError("The download came too late.")  # ends it
        begun_or_ended.set()
        if on_progress is not None:
            on_progress(done, total)

    def fetch() -> None:
        try:
            _fetch_tiny_shakespeare(report, attempts=1, timeout=_DEFAULT_SECONDS)
        except Exception as error:  # for its reason, whatever it is
            errors.append(error)
        begun_or_ended.set()

    # On a thread, since looking up a host's name has no time limit.
    thread = threading.Thread(target=fetch, name="fetch tiny-shakespeare", daemon=True)
    thread.start()
    if begun_or_ended.wait(_DEFAULT_SECONDS):
        thread.join()
    else:
        given_up.set()
        errors.append(TimeoutError(f"no answer within {_DEFAULT_SECONDS:g} seconds"))
    if not errors:
        return TINY_SHAKESPEARE, ""
    reason = _reason(errors[-1])
    return DEMO, f"Tiny Shakespeare could not be fetched ({reason}): training on the play that ships ({DEMO})."


def _find_file(name: str) -> CatalogEntry:
    path = Path(name).expanduser()
    if path.is_dir():
        raise CorpusError(f"The corpus {name} is a folder; give one text file.")
    if not path.exists():
        known = ", ".join(corpus.name for corpus in known_corpora())
        raise CorpusError(f"There is no corpus {name}: no file of that path, and the names known here are {known}.")
    return CatalogEntry(path.stem or path.name, path, "file")


def known_corpora() -> list[CatalogEntry]:
    """Return every corpus that has a name: the built-in ones, then those that were added, sorted."""
    added = sorted(path for path in corpora_folder().glob("*.txt") if path.stem != TINY_SHAKESPEARE)
    return [
        _find_tiny_shakespeare(),
        CatalogEntry(DEMO, asset_path("corpus/demo.txt"), "built in"),
        *(CatalogEntry(path.stem, path, "cache") for path in added),
    ]


def add_corpus(path: Path, name: str, data: bytes) -> CatalogEntry:
    """Copy a text into the cache under a name, so that ``--corpus NAME`` finds it.

    Raises:
        UsageError: the name is invalid, or that of a built-in corpus.
        CorpusError: the copy cannot be written.
    """
    if name in (DEMO, TINY_SHAKESPEARE) or not is_name(name):
        raise UsageError(
            f"A corpus cannot be called {name!r}: a name is 1 to 64 letters, digits, dots, dashes or underscores, does "
            f"not begin with a dot, and is not {DEMO} or {TINY_SHAKESPEARE}; choose one with --name."
        )
    target = corpora_folder() / f"{name}.txt"
    try:
        make_folder(target.parent)
        replace_file(target, data)
    except OSError as error:
        raise CorpusError(f"{path} could not be copied to {target}: {error.strerror}.") from error
    return CatalogEntry(name, target, "cache")


def _find_tiny_shakespeare() -> CatalogEntry:
    cached = corpora_folder() / f"{TINY_SHAKESPEARE}.txt"
    if _is_tiny_shakespeare(cached):
        return CatalogEntry(TINY_SHAKESPEARE, cached, "cache")
    for path in _corpus_path_files(*_TINY_SHAKESPEARE_FILES):
        if _is_tiny_shakespeare(path):
            return CatalogEntry(TINY_SHAKESPEARE, path, "corpus path")
    return CatalogEntry(TINY_SHAKESPEARE, cached, "to be fetched")


def _corpus_path_files(*names: str) -> Iterator[Path]:
    for entry in filter(None, os.environ.get(CORPUS_PATH_VARIABLE, "").split(os.pathsep)):
        path = Path(entry).expanduser()
        if path.is_dir():
            yield from (path / name for name in names)
        elif path.name in names or len(names) > 1:  # a file that is listed itself may have any name
            yield path


def _is_tiny_shakespeare(path: Path) -> bool:
    try:
        return sha256(path.read_bytes()) == TINY_SHAKESPEARE_SHA256
    except OSError:
        return False


def _download_tiny_shakespeare(on_progress: OnProgress | None) -> CatalogEntry:
    """Download Tiny Shakespeare into the cache, and return where it is. Raises ``CorpusError``."""
    try:
        path = _fetch_tiny_shakespeare(on_progress, attempts=_ATTEMPTS, timeout=_TIMEOUT_SECONDS)
    except Exception as error:  # requests, urllib3, OSError and pooch's ValueError have no narrower common base
        raise CorpusError(
            f"Tiny Shakespeare could not be fetched ({_reason(error)}); to go on offline, train on --corpus demo, or "
            f"put the file in a folder and name it in ${CORPUS_PATH_VARIABLE}."
        ) from error
    return CatalogEntry(TINY_SHAKESPEARE, path, "cache")


def _fetch_tiny_shakespeare(on_progress: OnProgress | None, *, attempts: int, timeout: float) -> Path:
    """Download Tiny Shakespeare into the cache, check its SHA-256, and return the file.

    Raises whatever pooch and requests raise where the download fails or its bytes are wrong; nothing is then left in
    the cache.
    """
    import pooch  # imports requests, which takes a tenth of a second

    pooch.get_logger().setLevel(logging.ERROR)  # pooch's own logger, which logging.getLogger does not return
    with suppress(OSError):  # made here to be private to the user; if that fails, pooch says why
        make_folder(corpora_folder())
    name = f"{TINY_SHAKESPEARE}.txt"
    downloader = pooch.HTTPDownloader(timeout=timeout, progressbar=_Progress(on_progress) if on_progress else False)
    registry = pooch.create(
        path=corpora_folder(),
        base_url="",
        registry={name: f"sha256:{TINY_SHAKESPEARE_SHA256}"},
        urls={name: TINY_SHAKESPEARE_URL},
        retry_if_failed=attempts - 1,
    )
    return Path(registry.fetch(name, downloader=downloader))


def _reason(error: Exception) -> str:
    text = str(error)
    if "hash" in text.lower() and isinstance(error, ValueError):
        return "the downloaded bytes are wrong: their SHA-256 differs"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if "IncompleteRead" in text or "Connection broken" in text:
        return "the connection was cut"
    for keyword, meaning in (
        ("resolve", "the host's name cannot be resolved"),
        ("refused", "the connection was refused"),
        ("timed out", "the connection timed out"),
    ):
        if keyword in text.lower():
            return meaning
    return text.split(" for url")[0].split("\n")[0][:100] or type(error).__name__


class _Progress:
    """Passes the progress of a download on; has the methods that pooch expects of a progress bar."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self._total = self._done = 0

    @property
    def total(self) -> int:
        """The bytes to download; set at the beginning of each attempt."""
        return self._total

    @total.setter
    def total(self, total: int) -> None:
        self._total, self._done = total, 0

    def update(self, count: int) -> None:
        self._done += count
        self._on_progress(min(self._done, self.total) if self.total else self._done, self.total)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        pass
