"""The form that asks what to train."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid, Horizontal, VerticalScroll
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Button, Input, ProgressBar, Select, Static
from textual.worker import get_current_worker

from shakegpt.config import PRESETS
from shakegpt.data.catalog import DEMO, TINY_SHAKESPEARE, find_corpus
from shakegpt.errors import CorpusError, ShakegptError
from shakegpt.system.text import escape_line
from shakegpt.training.setup import TrainingRequest
from shakegpt.tui import formatting
from shakegpt.tui.context import AppContext
from shakegpt.tui.dialogs.pick_file import PickFileScreen
from shakegpt.tui.dialogs.questions import Dialog
from shakegpt.tui.messages import StartTraining
from shakegpt.tui.training.form_field import FormField
from shakegpt.tui.training.run_form import (
    CHOICES,
    FILE,
    NUMBERS,
    field_error,
    preset_value,
    training_request,
    valid_values,
)

_TYPICAL_VOCAB_SIZE = 65
"""The vocabulary of Tiny Shakespeare, to estimate how large a model will be."""
_CORPORA = {
    TINY_SHAKESPEARE: ("Tiny Shakespeare", "1.1 M characters, fetched once"),
    DEMO: ("the built-in demo", "small, and no network needed"),
    FILE: ("a file of yours", "any plain text, UTF-8"),
}
"""Their labels and hints."""
_LABELS = {
    "steps": "Steps",
    "batch_size": "Batch size",
    "learning_rate": "Learning rate",
    "seed": "Seed",
    "device": "Device",
    "precision": "Precision",
}


class NewRunScreen(Dialog[TrainingRequest | None]):
    """Asks for the preset, the text and the most important numbers; ``None`` where the user goes back."""

    DEFAULT_CSS = """
    NewRunScreen {
        #form { width: 78; padding: 0 2; border-subtitle-color: $foreground 60%; }
        Grid { grid-size: 2; grid-gutter: 0 3; grid-rows: auto; height: auto; }
        Input, Select { background: $panel; }
        #field-file.-unused { visibility: hidden; }
        #error { color: $text-error; height: auto; display: none; }
        #error.-shown { display: block; }
        #download { height: 1; display: none; }
        #download.-shown { display: block; }
        #download Static { width: auto; margin-right: 2; }
        #buttons { height: 1; align-horizontal: right; margin-top: 1; }
        #buttons Button { margin-left: 2; min-width: 12; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="new-run.back", tooltip="Start no run"),
        Binding("ctrl+o", "pick_file", "Choose a file", id="new-run.file", tooltip="Choose the text from the disk"),
    ]

    @dataclass
    class DownloadProgress(Message):
        """Some more of the text has been downloaded."""

        done_bytes: int
        total_bytes: int

        def can_replace(self, message: Message) -> bool:
            """Take the place of an older one that still waits."""
            return isinstance(message, NewRunScreen.DownloadProgress)

    @dataclass
    class CorpusReady(Message):
        """The text is on this machine; or it cannot be had, and ``error`` says why."""

        request: TrainingRequest
        error: str = ""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._values = valid_values(values or {})

    def compose(self) -> ComposeResult:
        """Lay the fields out in two columns that fit 80×24."""
        values = self._values
        corpora = [(label, name) for name, (label, _) in _CORPORA.items()]
        with VerticalScroll(id="form", can_focus=False) as form:
            form.border_title, form.border_subtitle = "New run", "tab next field · enter start · esc back"
            with Grid():
                yield FormField("preset", "Preset", _select(zip(PRESETS, PRESETS, strict=True), values["preset"]))
                yield FormField(
                    "corpus",
                    "Text",
                    _select(corpora, values["corpus"]),
                )
                yield FormField("run", "Name", _input(values["run"]), "chosen for you if left empty")
                yield FormField("file", "File", _input(values["file"]), "ctrl+o chooses from the disk")
                for name in NUMBERS:
                    yield FormField(name, _LABELS[name], _input(values[name]))
                for name, choices in CHOICES.items():
                    yield FormField(name, _LABELS[name], _select(zip(choices, choices, strict=True), values[name]))
            yield Static(id="error", markup=False)
            with Horizontal(id="download"):
                yield Static("Fetching the text", markup=False)
                yield ProgressBar(show_eta=False)
            with Horizontal(id="buttons"):
                yield Button("Back", id="back", compact=True)
                yield Button("Start training", id="start", variant="primary", compact=True)

    def on_mount(self) -> None:
        """Focus the preset."""
        self._update_hints()
        self.query_one(Select).focus()

    @property
    def values(self) -> dict[str, str]:
        """Every field as it was last typed or chosen."""
        return dict(self._values)

    def action_back(self) -> None:
        """Start no run, and cancel a download."""
        self.workers.cancel_node(self)
        self.dismiss(None)

    @work(group="pick-file", exclusive=True)
    async def action_pick_file(self) -> None:
        """Let the user choose a file."""
        file = self.values["file"]
        path = await self.app.push_screen_wait(PickFileScreen(Path(file).expanduser().parent if file else None))
        if path is not None:
            self.query_one("#field-corpus Select", Select).value = FILE
            self.query_one("#field-file Input", Input).value = str(path)

    @on(Input.Changed)
    @on(Select.Changed)
    def _check_fields(self) -> None:
        """Check every field, for its limits may depend on another one, such as the preset."""
        values = self._values = {str(field.name): field.value for field in self.query(FormField)}
        self._update_hints()
        for field in self.query(FormField):
            if field.name != "file" or values["file"]:  # an empty path is an error only once the user starts
                field.set_error(field_error(values, str(field.name)))
        self._show_error("")

    @on(Input.Submitted)
    @on(Button.Pressed, "#start")
    def _start(self) -> None:
        for field in self.query(FormField):
            field.set_error(field_error(self._values, str(field.name)))
        wrong = [field for field in self.query(FormField) if field.error]
        if wrong:
            wrong[0].query("Input, Select").first().focus()
            return
        try:
            request = training_request(self._values)
        except ValueError as error:
            self._show_error(str(error))
            return
        self._show_error("")
        self.query_one("#download").set_class(request.corpus == TINY_SHAKESPEARE, "-shown")
        self._fetch_corpus(request)

    @on(Button.Pressed, "#back")
    def _back(self) -> None:
        self.action_back()

    @work(thread=True, group="fetch", exclusive=True, exit_on_error=False)
    def _fetch_corpus(self, request: TrainingRequest) -> None:
        """Download the text, if need be, before the training starts."""
        worker = get_current_worker()

        def report(done: int, total: int) -> None:
            if worker.is_cancelled:
                raise CorpusError("The download was cancelled.")
            self.post_message(self.DownloadProgress(done, total))

        try:
            find_corpus(request.corpus or TINY_SHAKESPEARE, on_progress=report)
        except ShakegptError as error:
            self.post_message(self.CorpusReady(request, str(error)))
        else:
            self.post_message(self.CorpusReady(request))

    def on_new_run_screen_download_progress(self, message: DownloadProgress) -> None:
        """Update the progress bar."""
        self.query_one(ProgressBar).update(total=message.total_bytes or None, progress=message.done_bytes)

    def on_new_run_screen_corpus_ready(self, message: CorpusReady) -> None:
        """Return the request, or show why there is no text to train on."""
        self.query_one("#download").remove_class("-shown")
        if not message.error:
            self.dismiss(message.request)
        else:
            self._show_error(message.error)

    def _show_error(self, sentence: str) -> None:
        error = self.query_one("#error", Static)
        error.set_class(bool(sentence), "-shown")
        error.update(escape_line(sentence))

    def _update_hints(self) -> None:
        values = self._values
        model = PRESETS[values["preset"]].model_config(_TYPICAL_VOCAB_SIZE)
        weights = formatting.compact(model.parameters)
        self._field("preset").set_hint(f"{model.n_layer} blocks × {model.d_model}, {weights} weights")
        self._field("corpus").set_hint(_CORPORA[values["corpus"]][1])
        file = self._field("file")
        file.set_class(values["corpus"] != FILE, "-unused")
        file.disabled = values["corpus"] != FILE
        for name in NUMBERS:
            value = preset_value(values["preset"], name)
            text = f"{value:g}" if isinstance(value, float) else formatting.count(value)
            self._field(name).set_hint(f"{text if name != 'seed' else value} if left empty")

    def _field(self, name: str) -> FormField:
        return self.query_one(f"#field-{name}", FormField)


def _input(value: str) -> Input:
    return Input(value, compact=True, select_on_focus=False)


def _select(options: Iterable[tuple[str, str]], value: str) -> Select[str]:
    return Select(options, value=value, allow_blank=False, compact=True)


def open_new_run_form(screen: Screen[Any], context: AppContext) -> None:
    """Ask what to train, and start it from ``screen``; say so where a run of this process is in training already."""
    training = context.own_training
    if training is not None:
        name = training.latest.started.run if training.latest.started else "A run"
        screen.notify(f"{name} is in training: X stops it, then n starts another.", markup=False)
        return
    form = NewRunScreen(context.preferences.new_run)

    def start(request: TrainingRequest | None) -> None:
        if request is not None:
            context.remember(new_run=form.values)
            screen.post_message(StartTraining(request))

    screen.app.push_screen(form, start)
