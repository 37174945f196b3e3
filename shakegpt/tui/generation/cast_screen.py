"""The dialog that casts a scene: the user's part and the model's."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from shakegpt.system.text import escape_line
from shakegpt.tui.dialogs.questions import Dialog
from shakegpt.tui.generation.scene import Scene, part_name

_NAMES_SHOWN = 200


class Choice(Option):
    """A line of the list: the name of a part, or the file of a saved scene."""

    def __init__(self, shown: Content, chosen: str | Path) -> None:
        super().__init__(shown)
        self.chosen = chosen


class CastScreen(Dialog["Scene | Path | None"]):
    """Asks for the two parts; its result is a scene with these parts, or the file of a saved scene to go on with.

    Args:
        scene: the parts so far.
        names: the names of those who speak in the corpora, the most frequent first.
        saved: the files of saved scenes.
    """

    DEFAULT_CSS = """
    CastScreen {
        & > Vertical { width: 56; }
        & Label { margin-top: 1; color: $text-muted; }
        & Label.first { margin-top: 0; }
        & OptionList, & OptionList:focus { height: 7; margin-top: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", id="casting.back", tooltip="Leave the parts as they are"),
        Binding("down", "to_names", "Names", show=False, id="casting.names", tooltip="Choose a name from the list"),
    ]

    def __init__(self, scene: Scene, names: Sequence[str], saved: Sequence[Path] = ()) -> None:
        super().__init__()
        self._scene = scene
        self._names = list(names)
        self._saved = list(saved)
        self._user_part = Input(scene.user_part)
        self._model_part = Input(scene.model_part)
        self._typed = ""
        self._edited = self._user_part  # the field that the list is for

    def compose(self) -> ComposeResult:
        """Two names, and the list they can be chosen from."""
        with Vertical() as box:
            box.border_title, box.border_subtitle = "A scene for two", "⏎ next · esc back"
            yield Label("You play", classes="first")
            yield self._user_part
            yield Label("The model plays")
            yield self._model_part
            yield OptionList()
            yield Static("Type a name, or ↓ to choose one.", classes="keys")

    def on_mount(self) -> None:
        """Begin with the user's part."""
        self._user_part.cursor_blink = self._model_part.cursor_blink = False
        self._user_part.focus()
        self._list_names("")

    def offer(self, names: Sequence[str]) -> None:
        """Offer these names from now on."""
        self._names = list(names)
        if self.query(OptionList):  # else it lists them once it is mounted
            self._list_names(self._typed, keep_mark=True)

    def _list_names(self, typed: str, *, keep_mark: bool = False) -> None:
        """List the names that contain what was typed, or all where it is a whole name already."""
        self._typed = typed
        typed = typed.strip().upper()
        names = [name for name in self._names if typed in name.upper()]
        if typed in (name.upper() for name in self._names):
            names = self._names
        choices = [Choice(Content(escape_line(name)), name) for name in names[:_NAMES_SHOWN]]
        for path in self._saved:
            choices.append(Choice(Content.styled(f"go on with {escape_line(path.stem)}", "$secondary"), path))
        options = self.query_one(OptionList)
        marked = options.highlighted_option
        options.clear_options()
        options.add_options(choices)
        if keep_mark and isinstance(marked, Choice):
            options.highlighted = next((i for i, choice in enumerate(choices) if choice.chosen == marked.chosen), None)

    def on_input_changed(self, event: Input.Changed) -> None:
        """List the names that match."""
        if event.input.has_focus:
            self._list_names(event.value)

    def on_descendant_focus(self) -> None:
        """Remember which of the two fields the list is for."""
        if isinstance(self.focused, Input):
            self._edited = self.focused

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go on to the other name, and from there to the scene."""
        self._go_on(event.input)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Fill in the chosen name, or close with the chosen scene."""
        chosen = event.option.chosen if isinstance(event.option, Choice) else ""  # the list may be another one by now
        if isinstance(chosen, Path):
            self.dismiss(chosen)
        else:
            self._edited.value = chosen
            self._go_on(self._edited)

    def _go_on(self, field: Input) -> None:
        if field is self._user_part:
            self._model_part.focus()
            self._list_names("")
        else:
            self._accept()

    def action_to_names(self) -> None:
        """Move to the list."""
        options = self.query_one(OptionList)
        if options.option_count:
            options.highlighted = 0
            options.focus()

    def _accept(self) -> None:
        user_part, model_part = part_name(self._user_part.value), part_name(self._model_part.value)
        line = self.query_one(".keys", Static)
        if not user_part or not model_part:
            line.update("Each part needs a name.")
        elif user_part == model_part:
            line.update("The two parts need different names, or no one could tell who speaks.")
        else:
            self.dismiss(Scene(user_part, model_part, self._scene.speeches))
