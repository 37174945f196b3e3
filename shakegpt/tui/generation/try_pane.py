"""What there is to try on the generation screen, to be pressed or clicked."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from textual import events, work
from textual.content import Content
from textual.message import Message
from textual.style import Style
from textual.widgets import Static

from shakegpt.errors import ShakegptError
from shakegpt.runs.speed import Speed
from shakegpt.tui.context import AppContext
from shakegpt.tui.training.demo import USUAL_TIME, demo_time

_ACTION = "suggestion"
Suggestion = tuple[str, str, str]
"""The id of a binding, what it does in a few words, and the action that a click runs."""

SUGGESTIONS: Mapping[str, Sequence[Sequence[Suggestion]]] = {
    "": (
        (
            ("generation.temperature_up", "wilder", "screen.turn('temperature',1)"),
            ("generation.temperature_down", "tamer", "screen.turn('temperature',-1)"),
        ),
        (("generation.edit", "your own first line", "screen.edit"),),
        (("generation.scene", "play a scene with it", "screen.scene"),),
        (("generation.duel", "two texts, side by side", "screen.duel"),),
        (("app.training", "train your own: {demo_time}", "app.switch_mode('training')"),),
    ),
    "duel": (
        (
            ("generation.sideways_back", "left", "screen.select(-1)"),
            ("generation.sideways_1", "right: choose a side", "screen.select(1)"),
        ),
        (("generation.voice_1", "another preset for it", "screen.preset(1)"),),
        (("generation.choose_model", "another model for it", "screen.choose_model"),),
        (("generation.anew", "both again, another seed", "screen.new_seed"),),
        (("generation.duel", "one text again", "screen.duel"),),
    ),
    "scene": (
        (("generation.edit", "your line", "screen.edit"),),
        (("generation.replay", "another answer", "screen.replay"),),
        (
            ("generation.sideways_back", "", "screen.select(-1)"),
            ("generation.sideways_1", "choose a speech", "screen.select(1)"),
        ),
        (("generation.cast", "other parts", "screen.cast"),),
        (("generation.scene", "back to the text", "screen.scene"),),
    ),
}
"""By the mode of the pane on show: lines of suggestions."""


class TryPane(Static):
    """Keys worth pressing, each with what it does; a click does the same.

    Args:
        context: knows how long a training takes on this machine.
    """

    DEFAULT_CSS: ClassVar[str] = """
    TryPane { height: auto; }
    """

    @dataclass
    class SpeedsRead(Message):
        """It is known how fast this machine has trained."""

        speeds: Mapping[str, Speed]

    def __init__(self, context: AppContext) -> None:
        super().__init__(classes="pane")
        self.border_title = "Try"
        self._app_context = context
        self._mode = ""
        self._demo_time = USUAL_TIME

    def on_mount(self) -> None:
        """Find out how long a training takes here."""
        self._read_speed()

    @work(thread=True, group="speed", exit_on_error=False)
    def _read_speed(self) -> None:
        with suppress(ShakegptError):
            self.post_message(self.SpeedsRead(self._app_context.measured_speeds()))

    def on_try_pane_speeds_read(self, message: SpeedsRead) -> None:
        """Say how long it takes, where this machine has done it before."""
        if (time := demo_time(message.speeds)) is not None:
            self._demo_time = time.removeprefix("about ").removesuffix(" here")  # the pane is narrow
            self.show(self._mode)

    def show(self, mode: str) -> None:
        """Show what there is to try in a mode; keys are those that the user has bound."""
        self._mode = mode
        keys: dict[str | None, str] = {}
        for active in self.screen.active_bindings.values():
            keys.setdefault(active.binding.id, self.app.get_key_display(active.binding))
        lines = [
            Content("   ").join(self._part(keys.get(identity, ""), words, action) for identity, words, action in line)
            for line in SUGGESTIONS[mode]
        ]
        self.update(Content("\n").join(lines))

    def _part(self, key: str, words: str, action: str) -> Content:
        said = words.replace("{demo_time}", self._demo_time)
        part = Content.styled(key, "bold $primary") + Content(f"  {said}" if said else "")
        return part.stylize(Style.from_meta({_ACTION: action}))

    async def on_click(self, event: events.Click) -> None:
        """Do what was clicked. (Textual's own links would lose the colour of the key.)"""
        if action := event.style.meta.get(_ACTION):
            await self.run_action(action)
