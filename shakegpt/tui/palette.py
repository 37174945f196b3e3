"""The themes in the command palette: found by name, and shown while one moves over them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from textual.command import Command, CommandPalette, DiscoveryHit, Hit, Hits, Provider

PLACEHOLDER = "Search for an action or a theme…"


_LETTERS = 3
"""The fewest that list themes: after one or two, an action is as likely to be meant, and a theme changes the screen."""
_WEIGHT = 0.5
"""Puts themes below actions that match as well."""


@dataclass(frozen=True)
class ThemeChoice:
    """Sets a theme when it is called, as a command of the palette is."""

    theme: str
    choose: Callable[[str], None]

    def __call__(self) -> None:
        """Set the theme."""
        self.choose(self.theme)


class ThemeCommands(Provider):
    """Every theme, to those who type a part of its name."""

    def _choices(self) -> Iterable[tuple[str, ThemeChoice]]:
        for name in sorted(self.app.available_themes):
            yield f"Theme: {name}", ThemeChoice(name, self._choose)

    def _choose(self, theme: str) -> None:
        self.app.theme = theme

    async def search(self, query: str) -> Hits:
        """List the themes with these words in their names; others would be shown while an action is typed."""
        matcher = self.matcher(query)
        for title, choice in self._choices():
            if len(query) >= _LETTERS and query.casefold() in title.casefold():
                yield Hit(matcher.match(title) * _WEIGHT, matcher.highlight(title), choice)


class AllThemes(ThemeCommands):
    """Every theme, listed before anything is typed."""

    async def discover(self) -> Hits:
        """List all themes, the present one first: the first is highlighted, which shows it."""
        for title, choice in sorted(self._choices(), key=lambda item: item[1].theme != self.app.theme):
            yield DiscoveryHit(title, choice)


def highlighted_theme(message: CommandPalette.OptionHighlighted) -> str | None:
    """Return the theme that is highlighted; ``None`` where it is another command."""
    option = message.highlighted_event.option
    command = option.hit.command if isinstance(option, Command) else None
    return command.theme if isinstance(command, ThemeChoice) else None
