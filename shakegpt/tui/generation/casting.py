"""The casting of a scene: the user's part and the model's."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from shakegpt.system.text import escape_line
from shakegpt.tui.generation.scene import Scene, part_name

_OFFERED = 200


class CastingScreen(ModalScreen["Scene | Path | None"]):
    """Asks who plays whom; gives a scene with the parts given out, or the file of a saved scene to go on with.

    Args:
        scene: the parts as they are.
        speakers: names that the corpus knows, the most talkative first.
        saved: scenes that were saved before.
    """

    DEFAULT_CSS = """
    CastingScreen {
        align: center middle;
        & > Vertical {
            width: 56; max-width: 95%; height: auto; max-height: 95%;
            padding: 1 2; background: $surface; border: round $border;
        }
        & Input, & Input:focus { border: none; height: 1; padding: 0 1; background: $panel; }
        & Label { margin-top: 1; color: $text-muted; }
        & Label.first { margin-top: 0; }
        & OptionList, & OptionList:focus { height: 7; border: none; padding: 0; margin-top: 1; background: $surface; }
        & .heading { color: $primary; text-style: bold; margin-bottom: 1; }
        & .hint { color: $text-muted; margin-top: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", id="casting.back", tooltip="Leave the parts as they are"),
        Binding("down", "to_names", "Names", show=False, id="casting.names", tooltip="Choose from the names on offer"),
    ]

    def __init__(self, scene: Scene, speakers: Sequence[str], saved: Sequence[Path] = ()) -> None:
        super().__init__()
        self._scene = scene
        self._speakers = list(speakers)
        self._saved = list(saved)
        self._asked = "yours"

    def compose(self) -> ComposeResult:
        """Two names, and the list they can be chosen from."""
        with Vertical():
            yield Static("A scene for two", classes="heading")
            yield Label("You play", classes="first")
            yield Input(self._scene.yours, id="yours")
            yield Label("The model plays")
            yield Input(self._scene.theirs, id="theirs")
            yield OptionList()
            yield Static("Type a name, or ↓ to choose. Enter next, Esc back", classes="hint")

    def on_mount(self) -> None:
        """Begin with the user's part."""
        for field in self.query(Input):
            field.cursor_blink = False
        self.query_one("#yours").focus()
        self._offer("")

    def _offer(self, typed: str) -> None:
        """List the names that contain what was typed; all of them where it is a whole name already."""
        typed = typed.strip().upper()
        names = [name for name in self._speakers if typed in name.upper()]
        if typed in (name.upper() for name in self._speakers):
            names = self._speakers
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options(
            Option(Content(escape_line(name)), id=f"name-{self._speakers.index(name)}") for name in names[:_OFFERED]
        )
        options.add_options(
            Option(
                Content.styled(f"go on with {escape_line(path.stem)}", "$secondary"),
                id=f"file-{index}",
            )
            for index, path in enumerate(self._saved)
        )

    def on_input_changed(self, event: Input.Changed) -> None:
        """Offer the names that fit."""
        if event.input.has_focus:
            self._offer(event.value)

    def on_descendant_focus(self) -> None:
        """Remember which name is being asked for."""
        if isinstance(self.focused, Input):
            self._asked = self.focused.id or "yours"

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go on: to the other name, and from there to the scene."""
        if event.input.id == "yours":
            self.query_one("#theirs").focus()
            self._offer("")
        else:
            self._give_out()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Take a name for the part asked for, or open a saved scene."""
        kind, _, number = (event.option_id or "").partition("-")
        if kind == "file":
            self.dismiss(self._saved[int(number)])
            return
        field = self.query_one(f"#{self._asked}", Input)
        field.value = self._speakers[int(number)]
        if self._asked == "yours":
            self.query_one("#theirs").focus()
            self._offer("")
        else:
            self._give_out()

    def action_to_names(self) -> None:
        """Move into the list."""
        options = self.query_one(OptionList)
        if options.option_count:
            options.highlighted = 0
            options.focus()

    def _give_out(self) -> None:
        yours, theirs = (part_name(self.query_one(f"#{part}", Input).value) for part in ("yours", "theirs"))
        hint = self.query_one(".hint", Static)
        if not yours or not theirs:
            hint.update("Each part needs a name.")
        elif yours == theirs:
            hint.update("The two parts need different names, or no one could tell who speaks.")
        else:
            self.dismiss(Scene(yours, theirs, self._scene.speeches))
