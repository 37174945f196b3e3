"""The other programs that ``shakegpt train`` writes its events for."""

from pathlib import Path
from typing import TYPE_CHECKING

from shakegpt.runs.store import Store

if TYPE_CHECKING:
    from shakegpt.export.writers import EventWriter, WriterThread


def open_writers(store: Store, *, tensorboard: Path | None, wandb: bool, trackio: bool) -> "list[WriterThread]":
    """Return a thread for each program that is to get the events of a training.

    Raises:
        ShakegptError: a package is not installed, or a folder cannot be made.
    """
    writers: dict[str, EventWriter] = {}
    if tensorboard is not None:
        from shakegpt.export.tensorboard import TensorBoardWriter

        writers["TensorBoard"] = TensorBoardWriter(tensorboard.expanduser())
    if wandb:
        from shakegpt.export.wandb import WandbWriter

        writers["W&B"] = WandbWriter()
    if trackio:
        from shakegpt.export.trackio import TrackioWriter

        writers["trackio"] = TrackioWriter()
    if not writers:
        return []
    from shakegpt.export.writers import WriterThread

    return [WriterThread(label, writer, store.run) for label, writer in writers.items()]
