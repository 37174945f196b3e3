"""``shakegpt runs note`` and ``shakegpt runs tag``: what a user says of a run, to find it again."""

from typing import TYPE_CHECKING, Annotated

import typer

from shakegpt.cli.options import RunArgument
from shakegpt.cli.output import print_note
from shakegpt.errors import ShakegptError, UsageError
from shakegpt.system.text import escape_control_characters

if TYPE_CHECKING:
    from shakegpt.runs.run import Run
    from shakegpt.runs.store import Store


def complete_tags(incomplete: str) -> list[str]:
    """Return the tags that runs have and that begin with ``incomplete``."""
    from shakegpt.runs.notes import read_notes
    from shakegpt.runs.store import Store

    try:
        tags = {tag for run in Store.default().runs() for tag in read_notes(run).tags or ()}
    except ShakegptError:
        return []
    return sorted(tag for tag in tags if tag.startswith(incomplete))


def choose_runs(store: "Store", tags: list[str], settings: list[str]) -> "list[Run]":
    """Return the runs that have all of these tags and settings, newest first.

    Args:
        store: where the runs are.
        tags: their names.
        settings: such as ``learning_rate=2e-3``.

    Raises:
        UsageError: there is no such setting, or a value is none of its kind.
    """
    from shakegpt.runs.notes import read_notes
    from shakegpt.runs.run_settings import SettingFilter

    filters = [SettingFilter.parse(text) for text in settings]
    return [
        run
        for run in store.runs()
        if all(wanted.matches(run.metadata) for wanted in filters)
        and (not tags or set(tags) <= set(read_notes(run).tags or ()))
    ]


def note(
    run: RunArgument,
    text: Annotated[
        str | None, typer.Argument(metavar="[TEXT]", help="What to note; - reads standard input.", show_default=False)
    ] = None,
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Remove its note.")] = False,
) -> None:
    """Note something of a run; without a text, print its note."""
    from shakegpt.cli.standard_input import read_text_from_standard_input
    from shakegpt.runs.notes import read_notes, write_note
    from shakegpt.runs.store import Store

    found = Store.default().run(run)
    if remove:
        if text is not None:
            raise UsageError("Give a text, or --remove, not both.")
        write_note(found, None)
        print_note(f"{run} has no note now.")
    elif text is None:
        if (noted := read_notes(found).note) is not None:
            print(escape_control_characters(noted))
        else:
            print_note(f"{run} has no note; write one with `shakegpt runs note {run} TEXT`.")
    else:
        write_note(found, read_text_from_standard_input("note") if text == "-" else text)
        print_note(f"Noted; `shakegpt runs show {run}` shows it.")


def tag(
    run: RunArgument,
    tags: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="One tag or several.", autocompletion=complete_tags)
    ],
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Remove these tags.")] = False,
) -> None:
    """Tag a run, for `shakegpt runs list --tag NAME`."""
    from shakegpt.runs.notes import change_tags
    from shakegpt.runs.store import Store

    found = Store.default().run(run)
    left = change_tags(found, remove=tuple(tags)) if remove else change_tags(found, add=tuple(tags))
    print_note(f"{run} is tagged {', '.join(left)}." if left else f"{run} has no tags now.")
