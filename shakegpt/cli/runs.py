"""``shakegpt runs``: the checkpoint store."""

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from shakegpt.cli.options import CHECKPOINT_HELP, Json, RunArgument, complete_checkpoints
from shakegpt.cli.output import note, reports_errors, say, say_json
from shakegpt.errors import UsageError
from shakegpt.text import harmless

app = typer.Typer(help="The runs in the store, and their checkpoints.", no_args_is_help=True)


@app.command("list")
@reports_errors
def list_(json: Json = False) -> None:
    """List the runs, newest first."""
    from shakegpt.store import Store

    store = Store.default()
    rows = [store.summary(run) for run in store.runs()]
    if json:
        say_json({"runs": [asdict(row) for row in rows]})
        return
    if not rows:
        note(f"There are no runs in {store.home} yet; begin one with `shakegpt train`.")
        return
    say(f"{'RUN':<16} {'STATUS':<9} {'STEP':>13} {'BEST LOSS':>10} {'CHECKPOINTS':>11} {'SIZE':>9}  CORPUS")
    for row in rows:
        loss = "-" if row.best_val_loss is None else f"{row.best_val_loss:.4f}"
        say(
            f"{row.name:<16} {row.status:<9} {f'{row.step}/{row.steps}':>13} {loss:>10} {row.checkpoints:>11} "
            f"{row.bytes / 1e6:>6.1f} MB  {harmless(row.corpus, one_line=True)}"
        )


@app.command()
@reports_errors
def show(run: RunArgument, json: Json = False) -> None:
    """Show a run: what it is, how it stands, and its checkpoints."""
    from shakegpt.store import Store

    store = Store.default()
    found = store.run(run)
    summary, best, record = store.summary(found), found.best(), found.record
    checkpoints = found.checkpoints()
    if json:
        say_json(
            asdict(summary)
            | {
                "record": asdict(record),
                "checkpoint_list": [
                    {"reference": info.reference, "step": info.step, "val_loss": info.val_loss, "bytes": info.bytes}
                    for info in checkpoints
                ],
            }
        )
        return
    say(f"{found.name}: {summary.status}, step {summary.step} of {summary.steps}")
    say(
        f"  model     {record.model.parameters:,} weights: {record.model.n_layer} blocks, {record.model.n_head} heads, "
        f"width {record.model.d_model}, context {record.model.block_size}"
    )
    corpus = f"{record.corpus} (SHA-256 {record.corpus_sha256[:12]}...)"
    say(f"  corpus    {harmless(corpus, one_line=True)}")
    forked = f", forked from {record.resumed_from}" if record.resumed_from else ""
    say(f"  created   {harmless(record.created + forked, one_line=True)}")
    if owner := found.owner():
        say(f"  held by   {owner}")
    for info in checkpoints:
        loss = "        " if info.val_loss is None else f"{info.val_loss:.4f}  "
        marks = " best" * (best is not None and info.step == best.step) + " last" * (info is checkpoints[-1])
        say(f"  {info.reference:<22} loss {loss} {info.bytes / 1e6:.1f} MB {marks}".rstrip())


@app.command()
@reports_errors
def remove(run: RunArgument, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Remove a run and all its checkpoints."""
    from shakegpt.store import Store

    found = Store.default().run(run)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"Nobody is here to be asked; to remove {run}, give --yes.")
        count, size = len(found.checkpoints()), found.bytes() / 1e6
        if not typer.confirm(f"Remove {run} and its {count} checkpoints ({size:.1f} MB)?", err=True):
            note("Nothing was removed.")
            raise typer.Exit(1)
    found.remove()
    note(f"Removed {run}.")


@app.command()
@reports_errors
def path(
    reference: Annotated[
        str,
        typer.Argument(
            metavar="REF", help=f"A run, or a checkpoint of one. {CHECKPOINT_HELP}", autocompletion=complete_checkpoints
        ),
    ],
) -> None:
    """Print the folder of a checkpoint; of a run, where only its name is given."""
    from shakegpt.run import RUN_NAME
    from shakegpt.store import LAST, PRETRAINED, Store

    store = Store.default()
    if RUN_NAME.fullmatch(reference) and reference not in (PRETRAINED, LAST):
        say(str(store.run(reference).path))
    else:
        say(str(store.find(reference).path))
