"""Which runs that are drawn together share a colour and a mark: each has its own, or those with one value of a setting.

A colour alone tells nobody who sees none: each also has a mark, in the list of runs and on the curves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shakegpt.runs.run import RunMetadata
from shakegpt.runs.run_settings import Setting, settings_of
from shakegpt.system.text import escape_line
from shakegpt.tui import formatting
from shakegpt.tui.themes import RUN_COLOURS

MARKS = "●▼×○+■abcdefghijklmnopqrstuwyz"
"""Of runs that are drawn together, in their order; told apart in ASCII too. After the last comes the first again."""
_FOLLOWS = frozenset({"parameters"})
"""Settings that follow from others."""
_LAST = "seed"


@dataclass(frozen=True)
class Colouring:
    """The groups that some runs fall into; each group has a colour and a mark of its own."""

    setting: str | None
    """What tells the groups apart; ``None`` where each run is one."""
    labels: tuple[str, ...]
    """What each group is called: a run's name, or a value of the setting."""
    groups: Mapping[str, int]
    """The number of each run's group, by the run's name."""

    @classmethod
    def by_run(cls, names: Sequence[str]) -> "Colouring":
        """Return the colouring that gives each run its own."""
        return cls(None, tuple(names), {name: number for number, name in enumerate(names)})

    @classmethod
    def by_setting(cls, setting: str, runs: Mapping[str, RunMetadata]) -> "Colouring":
        """Return the colouring by a setting of some runs, its lowest value first."""
        found = {name: settings_of(metadata)[setting] for name, metadata in runs.items()}
        values = sorted(set(found.values()), key=_order)
        numbers = {name: values.index(value) for name, value in found.items()}
        return cls(setting, tuple(map(setting_text, values)), numbers)

    def colour(self, name: str) -> int:
        """Return the number of a run's colour among ``RUN_COLOURS``."""
        return self.groups.get(name, 0) % len(RUN_COLOURS)

    def mark(self, name: str) -> str:
        """Return a run's mark."""
        return self.mark_of(self.groups.get(name, 0))

    @staticmethod
    def mark_of(group: int) -> str:
        """Return the mark of a group."""
        return MARKS[group % len(MARKS)]


def choose_colouring(setting: str | None, runs: Mapping[str, RunMetadata | None]) -> Colouring:
    """Return the colouring of runs by a setting; each its own where there is none, or they do not differ in it."""
    known = {name: metadata for name, metadata in runs.items() if metadata is not None}
    if setting is None or len(known) < len(runs) or setting not in differing_settings(list(known.values())):
        return Colouring.by_run(list(runs))
    return Colouring.by_setting(setting, known)


def differing_settings(runs: Sequence[RunMetadata]) -> list[str]:
    """Return the settings that tell these runs apart, the seed last.

    Of several that tell them apart in the same way, as the lowest learning rate does where it follows from the highest,
    only the first.
    """
    rows = [settings_of(metadata) for metadata in runs]
    found: dict[tuple[int, ...], str] = {}
    for name in sorted(rows[0] if rows else (), key=lambda name: name == _LAST):
        values = [row[name] for row in rows]
        numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
        if len(numbers) > 1 and name not in _FOLLOWS:
            found.setdefault(tuple(numbers[value] for value in values), name)
    return list(found.values())


def next_setting(setting: str | None, runs: Mapping[str, RunMetadata | None]) -> str | None:
    """Return what comes after a setting: the next one that runs differ in, or none after the last."""
    choices = [None, *differing_settings([metadata for metadata in runs.values() if metadata is not None])]
    return choices[(choices.index(setting) + 1) % len(choices)] if setting in choices else choices[0]


def setting_text(value: Setting) -> str:
    """Return a setting's value in short."""
    if isinstance(value, float) and 0 < abs(value) < 0.01:
        return formatting.scientific(value).replace(".0e", "e")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,.10g}" if isinstance(value, float) else str(value)
    return "none" if value is None else escape_line(str(value))


def _order(value: Setting) -> tuple[bool, float, str]:
    is_number = isinstance(value, int | float)
    return (not is_number, float(value) if isinstance(value, int | float) else 0.0, "" if is_number else str(value))
