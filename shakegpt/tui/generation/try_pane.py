"""What there is to try on the generation screen, to be pressed or clicked."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import events
from textual.content import Content
from textual.style import Style
from textual.widgets import Static

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
        (("app.training", "train your own: 20 seconds", "app.switch_mode('training')"),),
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
    """Keys worth pressing, each with what it does; a click does the same."""

    DEFAULT_CSS: ClassVar[str] = """
    TryPane { height: auto; }
    """

    def __init__(self) -> None:
        super().__init__(classes="pane")
        self.border_title = "Try"

    def show(self, mode: str) -> None:
        """Show what there is to try in a mode; keys are those that the user has bound."""
        keys: dict[str | None, str] = {}
        for active in self.screen.active_bindings.values():
            keys.setdefault(active.binding.id, self.app.get_key_display(active.binding))
        lines = [
            Content("   ").join(self._part(keys.get(identity, ""), words, action) for identity, words, action in line)
            for line in SUGGESTIONS[mode]
        ]
        self.update(Content("\n").join(lines))

    def _part(self, key: str, words: str, action: str) -> Content:
        part = Content.styled(key, "bold $primary") + Content(f"  {words}" if words else "")
        return part.stylize(Style.from_meta({_ACTION: action}))

    async def on_click(self, event: events.Click) -> None:
        """Do what was clicked. (Textual's own links would lose the colour of the key.)"""
        if action := event.style.meta.get(_ACTION):
            await self.run_action(action)
