"""The line of knobs: what each stands at, and the letter that turns it."""

from typing import ClassVar

from shakegpt.config import SamplingConfig
from shakegpt.tui.generation.knobs import KNOBS, Knob, voice_of
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

_ROOMY = 76


class KnobsBar(DiffWidget):
    """Shows the settings that the next character will be drawn with; the letter that turns a knob stands out."""

    DEFAULT_CSS: ClassVar[str] = """
    KnobsBar {
        height: 1;
        padding: 0 1;
        background: $surface;
        & > .knobs-bar--label { color: $text-muted; background: $surface; }
        & > .knobs-bar--key { color: $primary; background: $surface; text-style: underline; }
        & > .knobs-bar--value { color: $foreground; background: $surface; text-style: bold; }
        & > .knobs-bar--voice { color: $secondary; background: $surface; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "knobs-bar--label",
        "knobs-bar--key",
        "knobs-bar--value",
        "knobs-bar--voice",
    }

    def __init__(self, settings: SamplingConfig, *, id: str | None = None) -> None:  # noqa: A002  (Textual's name)
        super().__init__(id=id)
        self._settings = settings

    def show(self, settings: SamplingConfig) -> None:
        """Show other settings."""
        self._settings = settings
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002  (the line is one high)
        """Return the line: with whole labels where they fit, else with the letters alone."""
        styles = {
            name: self.get_component_rich_style(f"knobs-bar--{name}") for name in ("label", "key", "value", "voice")
        }
        row: Row = []
        for knob in KNOBS:
            before, key, after = _label(knob, roomy=width >= _ROOMY)
            row += [
                (before, styles["label"]),
                (key, styles["key"]),
                (f"{after} ", styles["label"]),
                (knob.show(self._settings), styles["value"]),
                ("  " if width >= _ROOMY else " ", styles["label"]),
            ]
        if voice := voice_of(self._settings):
            row.append((voice, styles["voice"]))
        return [row]


def _label(knob: Knob, *, roomy: bool) -> tuple[str, str, str]:
    if not roomy:
        return "", knob.key, ""
    place = knob.label.rindex(knob.key)  # top-p: the last p names it
    if knob.field in ("temperature", "seed"):
        place = knob.label.index(knob.key)
    return knob.label[:place], knob.key, knob.label[place + 1 :]
