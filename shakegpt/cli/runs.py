"""``shakegpt runs``: the checkpoint store."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shakegpt.cli.compare import compare
from shakegpt.cli.console import format_duration
from shakegpt.cli.help import Command, Group
from shakegpt.cli.options import CHECKPOINT_HELP, Json, RunArgument, complete_checkpoints, complete_runs
from shakegpt.cli.output import print_json, print_note
from shakegpt.cli.run_notes import choose_runs, complete_tags, note, tag
from shakegpt.cli.runs_export import ExportCommand, export
from shakegpt.errors import UsageError
from shakegpt.system.text import count, escape_line, is_name

if TYPE_CHECKING:
    from shakegpt.runs.run import Run
    from shakegpt.runs.store import Store

app = typer.Typer(cls=Group, help="The runs in the store, and their checkpoints.", no_args_is_help=True)


@app.command("list", cls=Command)
def list_(
    tag: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Only runs with this tag; repeatable, for several.", autocompletion=complete_tags
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SETTING=VALUE", help="Only runs with this setting, such as learning_rate=2e-3; repeatable."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """List the runs, newest first."""
    from shakegpt.runs.store import Store

    store = Store.default()
    rows = [store.summary(run) for run in choose_runs(store, tag or [], where or [])]
    if json:
        print_json({"runs": [asdict(row) for row in rows]})
        return
    if not rows:
        if (tag or where) and store.runs():
            print_note("No run has all of these; `shakegpt runs list` shows all runs.")
        else:
            print_note(f"There are no runs in {store.home} yet; begin one with `shakegpt train`.")
        return
    print(f"{'RUN':<16} {'STATUS':<9} {'STEP':>17} {'BEST LOSS':>10} {'CHECKPOINTS':>11} {'SIZE':>9}  CORPUS, TAGS")
    for row in rows:
        loss = "-" if row.best_val_loss is None else f"{row.best_val_loss:.4f}"
        print(
            f"{row.name:<16} {row.status:<9} {f'{row.step:,} / {row.steps:,}':>17} {loss:>10} {row.checkpoints:>11} "
            f"{row.bytes / 1e6:>6.1f} MB  {', '.join([escape_line(row.corpus), *row.tags])}"
        )


@app.command(cls=Command)
def show(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="One run or several.", autocompletion=complete_runs)
    ],
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw their curves into one picture, .svg or .png.")
    ] = None,
    json: Json = False,
) -> None:
    """Show what runs are: their status, curve and checkpoints."""
    from shakegpt.runs.store import Store

    store = Store.default()
    found = [store.run(name) for name in dict.fromkeys(runs)]
    if plot is not None:
        from shakegpt.export.plots import plot_runs

        plot_runs({run.name: run.snapshot() for run in found}, plot)
    if json:
        described = [_details(store, run) for run in found]
        print_json(described[0] if len(described) == 1 else {"runs": described})
    elif plot is not None:
        print(escape_line(str(plot)))
    else:
        for number, run in enumerate(found):
            if number:
                print("")
            _print_summary(store, run)


def _details(store: "Store", run: "Run") -> dict[str, Any]:
    checkpoints = [
        {
            "reference": info.reference,
            "step": info.step,
            "val_loss": info.val_loss,
            "ema": info.ema,
            "bytes": info.bytes,
        }
        for info in run.checkpoints()
    ]
    return asdict(store.summary(run)) | {"record": asdict(run.metadata), "checkpoint_list": checkpoints}


def _print_summary(store: "Store", run: "Run") -> None:
    """Print a run for people: what it is, its losses as a chart, and its checkpoints."""
    from shakegpt.cli.curves import draw_chart

    summary, best, metadata, checkpoints = store.summary(run), run.best(), run.metadata, run.checkpoints()
    snapshot = run.snapshot()
    print(f"{run.name}: {summary.status}, step {summary.step:,} of {summary.steps:,}")
    if summary.tags:
        print(f"  tags      {', '.join(summary.tags)}")
    for number, line in enumerate((summary.note or "").splitlines()):
        print(f"  {'' if number else 'note':<9} {escape_line(line)}".rstrip())
    model = metadata.model
    print(
        f"  model     {model.parameters:,} weights: {count(model.n_layer, 'block')}, {count(model.n_head, 'head')}, "
        f"width {model.d_model}, context {model.block_size}"
    )
    corpus = f"{metadata.corpus} (SHA-256 {metadata.corpus_sha256[:12]}...)"
    forked = f", forked from {metadata.resumed_from}" if metadata.resumed_from else ""
    print(f"  corpus    {escape_line(corpus)}")
    if metadata.begun_from is not None:
        print(
            escape_line(
                f"  begun     from {metadata.begun_from}, {count(metadata.new_characters or 0, 'new character')}"
            )
        )
    print(f"  created   {escape_line(metadata.created + forked)}")
    if snapshot.step is not None:
        print(f"  trained   {format_duration(snapshot.step.seconds)}, {snapshot.step.tokens:,} characters")
    if snapshot.best is not None:
        print(
            f"  best      loss {snapshot.best.val_loss:.4f}, perplexity {snapshot.best.perplexity:.2f}, "
            f"{snapshot.best.bits_per_character:.3f} bits per character, at step {snapshot.best.step:,}"
            + (" (ema)" if snapshot.best.ema else "")
        )
    if owner := run.owner():
        print(f"  locked by {owner}")
    for info in checkpoints:
        loss = "        " if info.val_loss is None else f"{info.val_loss:.4f}  "
        marks = " best" * (best is not None and info.step == best.step) + " last" * (info is checkpoints[-1])
        marks += " ema" * info.ema
        print(f"  {info.reference:<22} loss {loss} {info.bytes / 1e6:.1f} MB {marks}".rstrip())
    if chart := draw_chart(snapshot):
        print("\n" + "\n".join(f"  {line}" for line in chart))


app.command("compare", cls=Command)(compare)
app.command("export", cls=ExportCommand)(export)
app.command("note", cls=Command)(note)
app.command("tag", cls=Command)(tag)


@app.command("rm", cls=Command, hidden=True)
@app.command(cls=Command)
def remove(run: RunArgument, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Remove a run and all its checkpoints; `shakegpt runs rm` is the same."""
    from shakegpt.runs.store import Store

    found = Store.default().run(run)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"Standard input is not a terminal, so you cannot be asked; to remove {run}, give --yes.")
        checkpoints, size = count(len(found.checkpoints()), "checkpoint"), found.bytes() / 1e6
        if not typer.confirm(f"Remove {run} and its {checkpoints} ({size:.1f} MB)?", err=True):
            print_note("Nothing was removed.")
            raise typer.Exit(1)
    found.remove()
    print_note(f"Removed {run}.")


@app.command(cls=Command)
def path(
    reference: Annotated[
        str,
        typer.Argument(
            metavar="REF", help=f"A run, or a checkpoint of one. {CHECKPOINT_HELP}", autocompletion=complete_checkpoints
        ),
    ],
) -> None:
    """Print the folder of a run or of a checkpoint."""
    from shakegpt.runs.store import LAST, PRETRAINED, Store

    store = Store.default()
    if is_name(reference) and reference not in (PRETRAINED, LAST):
        print(str(store.run(reference).path))
    else:
        print(str(store.find(reference).path))


@app.command(cls=Command)
def rename(run: RunArgument, name: Annotated[str, typer.Argument(metavar="NAME", help="Its new name.")]) -> None:
    """Give a run another name."""
    from shakegpt.runs.store import Store

    store = Store.default()
    found = store.run(run)
    store.check_new_name(name)
    found.rename(name)
    print_note(f"{run} is now {name}.")
