"""The form that asks what to train."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Button, Input, Static

from shakegpt.config import PRESETS
from shakegpt.data.catalog import DEMO, TINY_SHAKESPEARE
from shakegpt.errors import ShakegptError
from shakegpt.runs.run import RunMetadata
from shakegpt.system.text import count, escape_line
from shakegpt.training.setup import TrainingRequest
from shakegpt.tui import formatting
from shakegpt.tui.dialogs.pick_file import PickFileScreen
from shakegpt.tui.training.choices import Choices, Option
from shakegpt.tui.training.form_field import FormField
from shakegpt.tui.training.model_fields import (
    ReadStart,
    begin_error,
    begin_hint,
    describe_shape,
    model_of,
    recipe,
)
from shakegpt.tui.training.rate_search import FINDER_KEY, MakeFinder, RateSearch
from shakegpt.tui.training.run_form import (
    CHOICES,
    FILE,
    NUMBERS,
    Machine,
    field_error,
    plan,
    preset_value,
    training_request,
    valid_values,
    warning,
    weights,
)
from shakegpt.tui.training.sweep_form import describe_sweep
from shakegpt.tui.training.text_fetching import Purpose

_TEXTS = (
    Option(TINY_SHAKESPEARE, "Tiny Shakespeare", "1.1 M characters, fetched once"),
    Option(DEMO, "the play that ships", "32 k characters, no network needed"),
    Option(FILE, "a file of yours", "any plain text; ctrl+o chooses one"),
)
_LABELS = {
    "steps": "Steps",
    "batch_size": "Batch size",
    "learning_rate": "Learning rate",
    "seed": "Seed",
    "ema": "Average (ema)",
    "device": "Device",
    "precision": "Precision",
}


class NewRunScreen(RateSearch):
    """Asks for the preset, the text and the most important numbers; ``None`` where the user goes back.

    Args:
        values: the fields to begin with, as typed.
        begin_from: the checkpoint that is filled in.
        check_name: raises ``ShakegptError`` where a new run cannot have a name.
        read_start: returns what is known of a checkpoint.
        read_machine: returns what is known of the machine; called on a thread.
        make_finder: makes the range test that finds a rate; without one, none is offered.
    """

    DEFAULT_CSS = """
    NewRunScreen {
        & > #form { width: 82; height: 24; padding: 0 2; }
        #fields { height: 1fr; }
        #field-steps { margin-top: 1; }
        #message { height: auto; max-height: 3; color: $text-warning; display: none; }
        #message.-shown { display: block; }
        #message.-error { color: $text-error; }
        #buttons { height: 1; }
        #buttons Button { margin-right: 2; min-width: 12; }
        #buttons Button:focus { text-style: bold reverse; }
        &.-short #field-steps { margin-top: 0; }
        &.-narrow FormField > Input { width: 14; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="new-run.back", tooltip="Start no run"),
        Binding("enter", "start", "Start", id="new-run.start", tooltip="Start the run"),
        Binding("ctrl+o", "pick_file", "Choose a file", id="new-run.file", tooltip="Choose the text from the disk"),
        Binding("up", "app.focus_previous", show=False),
        Binding("down", "app.focus_next", show=False),
    ]

    @dataclass
    class MachineRead(Message):
        """It is known where and how fast this machine trains."""

        machine: Machine

    def __init__(
        self,
        values: Mapping[str, str] | None = None,
        *,
        begin_from: str = "",
        check_name: Callable[[str], None] | None = None,
        read_start: ReadStart | None = None,
        read_machine: Callable[[], Machine] = Machine,
        make_finder: MakeFinder | None = None,
    ) -> None:
        super().__init__(make_finder)
        self._values = {**valid_values(values or {}), "begin_from": begin_from}
        self._read_start = read_start
        self._start: RunMetadata | None = None
        """What is known of the checkpoint to begin from."""
        self._check_name = check_name
        self._read_machine = read_machine
        self._machine = Machine()
        self._early_text = ""

    def compose(self) -> ComposeResult:
        """Put what starts the run under the fields, where it stays in sight."""
        values = self._values
        presets = [Option(preset, preset) for preset in PRESETS]
        with Vertical(id="form") as form:
            form.border_title, form.border_subtitle = "New run", "enter starts · esc goes back"
            with VerticalScroll(id="fields", can_focus=False):
                yield FormField("run", "Name", values["run"], "chosen for you if empty")
                yield FormField("begin_from", "Begin from", values["begin_from"])
                yield Choices("preset", "Preset", presets, values["preset"])
                yield FormField("shape", "Shape", values["shape"])
                yield Choices("corpus", "Text", _TEXTS, values["corpus"])
                yield FormField("file", "File", values["file"])
                for name in NUMBERS:
                    yield FormField(name, _LABELS[name], values[name])
                for name, choices in CHOICES.items():
                    options = [Option(choice, choice) for choice in choices]
                    yield Choices(name, _LABELS[name], options, values[name], across=True)
            yield Static(id="message", markup=False)
            with Horizontal(id="buttons"):
                yield Button("Start training", id="start", variant="primary", compact=True)
                yield Button("Back", id="back", compact=True)

    def on_mount(self) -> None:
        """Focus the name at once, so that what is typed next is seen there."""
        self._start, _ = begin_error(self._values["begin_from"], self._read_start)
        self._update_hints()
        name = self.query(Input).first()
        self.set_focus(name, scroll_visible=False)
        if self._early_text:
            name.insert_text_at_cursor(self._early_text)
        self._ask_machine()

    def take_early_key(self, event: events.Key) -> bool:
        """Take what was typed before the name was there to take it: the app asks before it drops a key."""
        if not event.is_printable or event.character is None:
            return False
        if isinstance(self.focused, Input):
            self.focused.insert_text_at_cursor(event.character)
        elif not self.is_mounted:
            self._early_text += event.character
        else:
            return False
        return True

    def on_resize(self) -> None:
        """Fit the hints to the new width."""
        self.call_after_refresh(self._update_hints)

    @property
    def values(self) -> dict[str, str]:
        """Every field as it was last typed or chosen."""
        return dict(self._values)

    def action_back(self) -> None:
        """End a search for a rate; else start no run, and cancel a download."""
        if self.searching:
            self.end_search()
            self.show_message(note="The search for a rate was ended; the field is as it was.")
            return
        self.workers.cancel_node(self)
        self.cancel_fetch()
        self.dismiss(None)

    @work(group="pick-file", exclusive=True)
    async def action_pick_file(self) -> None:
        """Let the user choose a file."""
        file = self.values["file"]
        path = await self.app.push_screen_wait(PickFileScreen(Path(file).expanduser().parent if file else None))
        if path is not None:
            self._choices("corpus").value = FILE
            self._field("file").value = str(path)

    @work(thread=True, group="machine", exit_on_error=False)
    def _ask_machine(self) -> None:
        self.post_message(self.MachineRead(self._read_machine()))

    def on_new_run_screen_machine_read(self, message: MachineRead) -> None:
        """Say how long each preset takes here."""
        self._machine = message.machine
        if message.machine.gpus:
            self._choices("device").add_options([Option(gpu, gpu) for gpu in message.machine.gpus])
        self._update_hints()
        self.show_message()

    @on(Input.Changed)
    @on(Choices.Changed)
    def _check_fields(self) -> None:
        """Check every field, for its limits may depend on another one, such as the preset."""
        fields = [*self.query(FormField), *self.query(Choices)]
        values = {str(field.name): field.value for field in fields}
        self.text_chosen |= values["corpus"] != self._values["corpus"]
        if values["begin_from"] != self._values["begin_from"]:  # what is half typed is no error yet
            self._start, _ = begin_error(values["begin_from"], self._read_start)
        self._values = values
        ended = self.check_search(values)
        self._update_hints()
        for field in self.query(FormField):
            if field.name != "file" or values["file"]:  # an empty path is an error only once the user starts
                field.set_error(field_error(values, str(field.name)))
        self.show_message(note=ended)

    @on(Input.Submitted)
    @on(Button.Pressed, "#start")
    def action_start(self) -> None:
        """Start the run, or show what is wrong with the first field that cannot be used."""
        for field in self.query(FormField):
            field.set_error(field_error(self._values, str(field.name)))
        if self._values["run"] and self._check_name is not None and not self._field("run").error:
            try:
                self._check_name(self._values["run"].strip())
            except ShakegptError as error:
                self._field("run").set_error(str(error))
        self._start, unknown = begin_error(self._values["begin_from"], self._read_start)
        self._field("begin_from").set_error(unknown)
        if self._show_wrong_field():
            return
        try:
            request = training_request(self._values)
        except ValueError as error:
            self.show_message(str(error))
            return
        self.end_search()
        self.fetch_text("train", request)

    @on(Button.Pressed, "#back")
    def _back(self) -> None:
        self.action_back()

    def use_text(self, purpose: Purpose, request: TrainingRequest) -> None:
        """Return the request, or test rates with it."""
        if purpose == "train":
            self.dismiss(request)
        else:
            super().use_text(purpose, request)

    def rate_request(self) -> TrainingRequest | None:
        """Return the run that a rate is wanted for: the one of the form, whatever rate and steps it has."""
        values = {**self._values, "run": "", "learning_rate": "", "steps": "", "ema": ""}
        for field in self.query(FormField):
            field.set_error(field_error(values, str(field.name)))
        self._field("begin_from").set_error(begin_error(values["begin_from"], self._read_start)[1])
        if self._show_wrong_field():
            return None
        try:
            return training_request(values)
        except ValueError as error:
            self.show_message(str(error))
            return None

    def fill_in_rate(self, text: str) -> None:
        """Write a rate into its field."""
        self._field("learning_rate").value = text

    def _show_wrong_field(self) -> bool:
        """Focus the first field that cannot be used, and say why; return whether there is one."""
        wrong = [field for field in self.query(FormField) if field.error]
        if wrong:
            wrong[0].query_one(Input).focus()
            self.show_message()
        return bool(wrong)

    def show_message(self, error: str = "", note: str = "") -> None:
        """Show an error; without one, a note, what is wrong with the first such field, or a warning."""
        wrong = next((field for field in self.query(FormField) if field.error), None)
        if not error and not note and wrong is not None:
            error = f"{wrong.label}: {wrong.error}"
        more = describe_sweep(self._values, self._machine, self._start) or warning(self._values, self._machine)
        sentence = error or note or f"{self.rate_note} {'' if self.searching else more}".strip()
        message = self.query_one("#message", Static)
        message.set_class(bool(sentence), "-shown")
        message.set_class(bool(error), "-error")
        message.update(escape_line(sentence))

    def _update_hints(self) -> None:
        values = self._values
        start, begins = self._start, bool(values["begin_from"].strip())
        plans = {preset: plan(values, preset, self._machine, start) for preset in PRESETS}
        unit = "" if self.has_class("-narrow") else " weights"
        shapes = {preset: values["shape"] if preset == values["preset"] else "" for preset in PRESETS}
        sizes = {
            preset: f"{formatting.compact(float(f'{weights(preset, shapes[preset]):.2g}'))}{unit}" for preset in PRESETS
        }
        width = max(map(len, sizes.values()))
        hints = [f"{sizes[preset]:<{width}}  {plans[preset].time}" for preset in PRESETS]
        self._choices("preset").set_hints([""] * len(hints) if begins else hints)
        self._choices("preset").disabled = self._field("shape").disabled = begins
        self._field("begin_from").set_hint(begin_hint(values, start))
        own = describe_shape(model_of(values["preset"], values["shape"]))
        self._field("shape").set_hint("that of the checkpoint" if begins else own)
        chosen = plans[values["preset"]]
        passes = "" if chosen.passes is None else f" · {_passes(chosen.passes)}"
        self._field("steps").set_hint(
            f"{count(chosen.steps, 'step')} · {chosen.time}" if begins else f"{count(chosen.steps, 'step')}{passes}"
        )
        for name in NUMBERS:
            if name != "steps":
                self._field(name).set_hint(self._number_hint(name))
        file = self._field("file")
        file.set_hint("" if values["corpus"] == FILE else "for a file of yours")
        file.disabled = values["corpus"] != FILE

    def _number_hint(self, name: str) -> str:
        if name == "ema":
            return "off; 0.999 averages the weights"
        value = preset_value(recipe(self._values["preset"], self._start), name)
        text = formatting.scientific(value) if isinstance(value, float) else str(value)
        if name != "learning_rate" or not self.finds_rates:
            return f"{text} if empty"
        return (
            f"{text} · {FINDER_KEY} finds" if self.has_class("-narrow") else f"{text} if empty · {FINDER_KEY} finds one"
        )

    def _field(self, name: str) -> FormField:
        return self.query_one(f"#field-{name}", FormField)

    def _choices(self, name: str) -> Choices:
        return self.query_one(f"#field-{name}", Choices)


def _passes(passes: float) -> str:
    return f"{formatting.count(passes) if passes >= 2 else f'{passes:.1f}'} passes"
