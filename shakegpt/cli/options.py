"""Options that several commands share, and the completion of their values without torch."""

from typing import Annotated

import typer

from shakegpt.config import PRESETS
from shakegpt.errors import ShakegptError


def complete_runs(incomplete: str) -> list[str]:
    """Return the runs whose names begin so."""
    from shakegpt.runs.store import Store

    try:
        return [run.name for run in Store.default().runs() if run.name.startswith(incomplete)]
    except ShakegptError:
        return []


def complete_checkpoints(incomplete: str) -> list[str]:
    """Return the references to checkpoints that begin so."""
    from shakegpt.runs.store import Store

    references = ["pretrained", "last"]
    try:
        for run in Store.default().runs():
            references += [run.name, f"{run.name}@best", f"{run.name}@last"]
            references += [info.reference for info in run.checkpoints()]
    except ShakegptError:
        pass
    return [reference for reference in references if reference.startswith(incomplete)]


def complete_presets(incomplete: str) -> list[tuple[str, str]]:
    """Return the presets whose names begin so, with what they are."""
    return [(name, preset.summary) for name, preset in PRESETS.items() if name.startswith(incomplete)]


def complete_corpora(incomplete: str) -> list[str]:
    """Return the corpora whose names begin so."""
    from shakegpt.data.catalog import known_corpora

    return [corpus.name for corpus in known_corpora() if corpus.name.startswith(incomplete)]


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Encoding = Annotated[str, typer.Option(help="How the bytes of the text spell characters.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run's name.", autocompletion=complete_runs)]
CHECKPOINT_HELP = "A checkpoint: pretrained, RUN (its best), RUN@best, RUN@last, RUN@500, last, or a path."
