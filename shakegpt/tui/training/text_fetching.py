"""Fetching the text that the new-run form chose, before anything is trained on it."""

from dataclasses import dataclass, replace
from typing import Literal

from textual import work
from textual.message import Message
from textual.worker import get_current_worker

from shakegpt.data.catalog import TINY_SHAKESPEARE, choose_default_corpus, find_corpus
from shakegpt.errors import CorpusError, ShakegptError
from shakegpt.training.setup import TrainingRequest
from shakegpt.tui import formatting
from shakegpt.tui.dialogs.questions import Dialog

Purpose = Literal["train", "find a rate"]


class TextFetching(Dialog[TrainingRequest | None]):
    """A form that fetches a text: only what was asked for last counts."""

    @dataclass
    class DownloadProgress(Message):
        """Some more of the text has been downloaded."""

        number: int
        done_bytes: int
        total_bytes: int

        def can_replace(self, message: Message) -> bool:
            """Take the place of an older one that still waits."""
            return isinstance(message, TextFetching.DownloadProgress)

    @dataclass
    class CorpusReady(Message):
        """The text is on this machine; or it cannot be had, and ``error`` says why."""

        number: int
        purpose: Purpose
        request: TrainingRequest
        error: str = ""

    def __init__(self) -> None:
        super().__init__()
        self._fetch_number = 0
        self.text_chosen = False
        """Whether the user chose a text; otherwise one that cannot be fetched gives way to the play that ships."""

    def show_message(self, error: str = "", note: str = "") -> None:
        """Show an error, or what goes on."""
        raise NotImplementedError

    def use_text(self, purpose: Purpose, request: TrainingRequest) -> None:
        """Go on with a request whose text is on this machine."""
        raise NotImplementedError

    def fetch_failed(self, error: str) -> None:
        """Show why there is no text."""
        self.show_message(error)

    def fetch_text(self, purpose: Purpose, request: TrainingRequest) -> None:
        """Download the text, if need be, and call ``use_text``."""
        self._fetch_number += 1
        if request.corpus == TINY_SHAKESPEARE:
            self.show_message(note="Looking for Tiny Shakespeare…")
        self._fetch(self._fetch_number, purpose, request)

    def cancel_fetch(self) -> None:
        """End a download; nothing is done with a text that has just come."""
        self._fetch_number += 1
        self.workers.cancel_group(self, "fetch")

    @work(thread=True, group="fetch", exclusive=True, exit_on_error=False)
    def _fetch(self, number: int, purpose: Purpose, request: TrainingRequest) -> None:
        worker = get_current_worker()

        def report(done: int, total: int) -> None:
            if worker.is_cancelled:
                raise CorpusError("The download was cancelled.")
            self.post_message(self.DownloadProgress(number, done, total))

        try:
            if request.corpus == TINY_SHAKESPEARE and not self.text_chosen:
                corpus, note = choose_default_corpus(on_progress=report)
                request = replace(request, corpus=corpus, corpus_note=note)
            else:
                find_corpus(request.corpus or TINY_SHAKESPEARE, on_progress=report)
        except ShakegptError as error:
            self.post_message(self.CorpusReady(number, purpose, request, str(error)))
            return
        self.post_message(self.CorpusReady(number, purpose, request))

    def on_text_fetching_download_progress(self, message: DownloadProgress) -> None:
        """Show how much of the text is here."""
        if message.number == self._fetch_number:
            total = f" of {formatting.size(message.total_bytes)}" if message.total_bytes else ""
            self.show_message(note=f"Fetching the text: {formatting.size(message.done_bytes)}{total}…")

    def on_text_fetching_corpus_ready(self, message: CorpusReady) -> None:
        """Go on with the request, or show why there is no text to train on."""
        if message.number != self._fetch_number:
            return
        if message.error:
            self.fetch_failed(message.error)
        else:
            self.use_text(message.purpose, message.request)
