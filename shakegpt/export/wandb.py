"""Events of a training for Weights & Biases: curves, samples and settings."""

import hashlib
import html
import os
from pathlib import Path
from typing import TYPE_CHECKING

from shakegpt.events import Event, Failed, Sample, Started
from shakegpt.export.writers import PROJECT, config_of, require_package, scalars_of
from shakegpt.runs.run import Run

if TYPE_CHECKING:
    import wandb


class WandbWriter:
    """Writes the events of a run to ``./wandb``, for ``wandb sync``; an ``EventWriter``.

    W&B's own variables hold: ``WANDB_MODE=online`` sends the events at once, ``WANDB_DIR`` and ``WANDB_PROJECT`` name
    other places. A run that is resumed goes on in the same run of W&B. Curves are drawn against the logged ``step``,
    since W&B's own count of steps cannot go back, as a training does that returns to a checkpoint.

    Raises:
        ShakegptError: wandb is not installed.
    """

    def __init__(self) -> None:
        require_package("wandb", "Writing for W&B", "wandb")
        self._run: wandb.Run | None = None
        self._exit_code = 0

    def begin(self, run: Run, event: Started) -> None:
        """See ``EventWriter``."""
        import wandb

        if folder := os.environ.get("WANDB_DIR"):
            Path(folder).mkdir(parents=True, exist_ok=True)  # W&B would write to a temporary folder, and not say so
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=_external_id(run),
            name=run.name,
            resume="allow",
            config=config_of(run, event),
            mode=None if os.environ.get("WANDB_MODE") else "offline",
            # Nothing on the terminal, no second thread that measures the machine, and nothing of the current directory.
            settings=wandb.Settings(
                silent=True, console="off", x_disable_stats=True, disable_git=True, save_code=False
            ),
        )
        self._run.define_metric("*", step_metric="step")

    def write(self, event: Event) -> None:
        """See ``EventWriter``."""
        import wandb

        row: dict[str, object] = {**scalars_of(event)}
        match event:
            case Sample():
                text = (event.prompt + event.text).strip("\n")
                row["sample"] = wandb.Html(f"<pre>{html.escape(text)}</pre>", inject=False)
            case Failed():
                self._exit_code = 1
        if row and self._run is not None:
            self._run.log({"step": event.step, **row})

    def close(self) -> None:
        """See ``EventWriter``."""
        run, self._run = self._run, None
        if run is not None:
            run.finish(exit_code=self._exit_code)


def _external_id(run: Run) -> str:
    """Return a name that no other run has, and that stays the same when this one is resumed or renamed."""
    metadata = run.metadata
    identity = f"{metadata.created} {metadata.corpus_sha256} {metadata.training.seed}"
    return hashlib.sha256(identity.encode()).hexdigest()[:16]
