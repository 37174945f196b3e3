"""The form that asks what to train."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid, Horizontal, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Button, Input, ProgressBar, Select, Static
from textual.worker import get_current_worker

from shakegpt.config import PRESETS
from shakegpt.data.catalog import DEMO, TINY_SHAKESPEARE, find_corpus
from shakegpt.errors import CorpusError, ShakegptError
from shakegpt.system.text import escape_line
from shakegpt.training.setup import TrainingRequest
from shakegpt.tui import formatting
from shakegpt.tui.dialogs.pick_file import PickFileScreen
from shakegpt.tui.training.run_form import CHOICES, FILE, NUMBERS, preset_value, problem, request_of, usable
from shakegpt.tui.widgets.form_field import FormField

_TYPICAL_CHARACTERS = 65
"""In Tiny Shakespeare; enough to say how large a model will be."""
_CORPORA = {TINY_SHAKESPEARE: "Tiny Shakespeare", DEMO: "the built-in demo", FILE: "a file of yours"}
_CORPUS_HINTS = {
    TINY_SHAKESPEARE: "1.1 M characters, fetched once",
    DEMO: "small, and no network needed",
    FILE: "any plain text, UTF-8",
}
_LABELS = {
    "steps": "Steps",
    "batch_size": "Batch size",
    "learning_rate": "Learning rate",
    "seed": "Seed",
    "device": "Device",
    "precision": "Precision",
}


class NewRunScreen(ModalScreen[TrainingRequest | None]):
    """Preset, text and the numbers that matter most; each field says itself what is wrong with it.

    Args:
        typed: the fields to begin with, as they were typed the last time.
    """

    DEFAULT_CSS = """
    NewRunScreen {
        align: center middle;
        #form {
            width: 78;
            max-width: 100%;
            height: auto;
            max-height: 100%;
            padding: 0 2;
            border: round $primary;
            border-title-color: $primary;
            border-subtitle-color: $foreground 60%;
            background: $surface;
        }
        Grid { grid-size: 2; grid-gutter: 0 3; grid-rows: auto; height: auto; }
        Input, Select { background: $panel; }
        #field-file.-unused { visibility: hidden; }
        #wrong { color: $text-error; height: auto; display: none; }
        #wrong.-shown { display: block; }
        #download { height: 1; display: none; }
        #download.-shown { display: block; }
        #download Static { width: auto; margin-right: 2; }
        #buttons { height: 1; align-horizontal: right; margin-top: 1; }
        #buttons Button { margin-left: 2; min-width: 12; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="new-run.back", tooltip="Train nothing new"),
        Binding("ctrl+o", "pick_file", "Choose a file", id="new-run.file", tooltip="Choose the text from the disk"),
    ]

    class Downloaded(Message):
        """Some more of a text has come over the network."""

        def __init__(self, done: int, total: int) -> None:
            self.done = done
            self.total = total
            super().__init__()

        def can_replace(self, message: Message) -> bool:
            """Take the place of an older one that still waits."""
            return isinstance(message, NewRunScreen.Downloaded)

    class Fetched(Message):
        """The text is here, or cannot be had for the reason given."""

        def __init__(self, request: TrainingRequest, error: str = "") -> None:
            self.request = request
            self.error = error
            super().__init__()

    def __init__(self, typed: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._typed = usable(typed or {})

    def compose(self) -> ComposeResult:
        """Lay the fields out in two columns that fit 80×24."""
        typed = self._typed
        with VerticalScroll(id="form", can_focus=False) as form:
            form.border_title, form.border_subtitle = "New run", "tab next field · enter start · esc back"
            with Grid():
                yield FormField("preset", "Preset", _select(list(PRESETS), typed["preset"]))
                yield FormField("corpus", "Text", _select(_CORPORA, typed["corpus"]))
                yield FormField("run", "Name", _input(typed["run"]), "chosen for you if left empty")
                yield FormField("file", "File", _input(typed["file"]), "ctrl+o chooses from the disk")
                for name in NUMBERS:
                    yield FormField(name, _LABELS[name], _input(typed[name]))
                for name, choices in CHOICES.items():
                    yield FormField(name, _LABELS[name], _select(choices, typed[name]))
            yield Static(id="wrong", markup=False)
            with Horizontal(id="download"):
                yield Static("Fetching the text", markup=False)
                yield ProgressBar(show_eta=False)
            with Horizontal(id="buttons"):
                yield Button("Back", id="back", compact=True)
                yield Button("Start training", id="start", variant="primary", compact=True)

    def on_mount(self) -> None:
        """Begin at the preset."""
        self._hint()
        self.query_one(Select).focus()

    @property
    def typed(self) -> dict[str, str]:
        """Every field as it was last typed or chosen."""
        return dict(self._typed)

    def action_back(self) -> None:
        """Train nothing new; a download that runs is given up."""
        self.workers.cancel_node(self)
        self.dismiss(None)

    @work(group="pick-file", exclusive=True)
    async def action_pick_file(self) -> None:
        """Let the user walk the disk."""
        named = Path(self.typed["file"]).expanduser()
        path = await self.app.push_screen_wait(PickFileScreen(named.parent if self.typed["file"] else None))
        if path is not None:
            self.query_one("#field-corpus Select", Select).value = FILE
            self.query_one("#field-file Input", Input).value = str(path)

    @on(Input.Changed)
    @on(Select.Changed)
    def _look_over(self) -> None:
        """Check every field against what it may be: another preset may have other limits."""
        typed = self._typed = {str(field.name): field.value for field in self.query(FormField)}
        self._hint()
        for field in self.query(FormField):
            if field.name != "file" or typed["file"]:  # an empty path is no mistake before the user says start
                field.object(problem(typed, str(field.name)))
        self._complain("")

    @on(Input.Submitted)
    @on(Button.Pressed, "#start")
    def _start(self) -> None:
        typed = self.typed
        wrong = [field for field in self.query(FormField) if self._objects(field, typed)]
        if wrong:
            wrong[0].query("Input, Select").first().focus()
            return
        try:
            request = request_of(typed)
        except ValueError as error:
            self._complain(str(error))
            return
        self._complain("")
        self.query_one("#download").set_class(request.corpus == TINY_SHAKESPEARE, "-shown")
        self._fetch(request)

    @on(Button.Pressed, "#back")
    def _back(self) -> None:
        self.action_back()

    @work(thread=True, group="fetch", exclusive=True, exit_on_error=False)
    def _fetch(self, request: TrainingRequest) -> None:
        """Have the text on this machine before training asks for it."""
        worker = get_current_worker()

        def report(done: int, total: int) -> None:
            if worker.is_cancelled:
                raise CorpusError("The download was given up.")
            self.post_message(self.Downloaded(done, total))

        try:
            find_corpus(request.corpus or TINY_SHAKESPEARE, on_progress=report)
        except ShakegptError as error:
            self.post_message(self.Fetched(request, str(error)))
        else:
            self.post_message(self.Fetched(request))

    def on_new_run_screen_downloaded(self, message: Downloaded) -> None:
        """Move the download's bar."""
        self.query_one(ProgressBar).update(total=message.total or None, progress=message.done)

    def on_new_run_screen_fetched(self, message: Fetched) -> None:
        """Hand the request back, or say why there is no text to train on."""
        self.query_one("#download").remove_class("-shown")
        if not message.error:
            self.dismiss(message.request)
        else:
            self._complain(message.error)

    def _objects(self, field: FormField, typed: Mapping[str, str]) -> bool:
        field.object(problem(typed, str(field.name)))
        return bool(field.problem)

    def _complain(self, sentence: str) -> None:
        wrong = self.query_one("#wrong", Static)
        wrong.set_class(bool(sentence), "-shown")
        wrong.update(escape_line(sentence))

    def _hint(self) -> None:
        typed = self.typed
        model = PRESETS[typed["preset"]].model_config(_TYPICAL_CHARACTERS)
        weights = formatting.magnitude(model.parameters)
        self._field("preset").hint(f"{model.n_layer} blocks × {model.d_model}, {weights} weights")
        self._field("corpus").hint(_CORPUS_HINTS[typed["corpus"]])
        file = self._field("file")
        file.set_class(typed["corpus"] != FILE, "-unused")
        file.disabled = typed["corpus"] != FILE
        for name in NUMBERS:
            value = preset_value(typed["preset"], name)
            spelled = f"{value:g}" if isinstance(value, float) else formatting.count(value)
            self._field(name).hint(f"{spelled if name != 'seed' else value} if left empty")

    def _field(self, name: str) -> FormField:
        return self.query_one(f"#field-{name}", FormField)


def _input(value: str) -> Input:
    return Input(value, compact=True, select_on_focus=False)


def _select(choices: Iterable[str] | Mapping[str, str], value: str) -> Select[str]:
    named = choices.items() if isinstance(choices, Mapping) else ((choice, choice) for choice in choices)
    options = [(str(label), name) for name, label in named]
    return Select(options, value=value, allow_blank=False, compact=True)
