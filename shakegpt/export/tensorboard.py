"""A training's events as TensorBoard shows them: curves and samples.

The files are written here and now, in the order of the events. tensorboardX's own ``SummaryWriter`` would hand them to
a thread through a queue of ten, and a full disk, which ends that thread, would leave the training waiting for ever.
"""

import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from shakegpt.errors import ShakegptError
from shakegpt.events import Evaluation, Event, Sample, Started, Step

if TYPE_CHECKING:
    from tensorboardX.event_file_writer import EventsWriter

_FLUSH_SECONDS = 5.0


class TensorBoardLog:
    """Writes the events of one run below a folder, in a folder of the run's own name.

    A resumed run goes on in its curves: TensorBoard forgets the points after the checkpoint it goes on from. A disk
    that fills up ends the log, not the training; ``trouble`` then says so.

    Args:
        folder: what ``tensorboard --logdir`` is given; made where it is not there.

    Raises:
        ShakegptError: the writer is not installed, or the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        try:
            import tensorboardX  # noqa: F401  (a run that cannot be logged as asked should not begin)
        except ImportError as error:
            raise ShakegptError(
                "Writing for TensorBoard takes tensorboardX: pip install 'shakegpt[tensorboard]'."
            ) from error
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ShakegptError(f"The TensorBoard folder {folder} cannot be made: {error.strerror}.") from error
        self._folder = folder
        self._writer: EventsWriter | None = None
        self._flushed = 0.0
        self.trouble = ""
        """Why the log has ended before the training, if it has."""

    def show(self, event: Event) -> None:
        """Write what an event says; figures that are not finite are left out."""
        if self.trouble:
            return
        try:
            if isinstance(event, Started):
                self._begin(event)
            elif self._writer is not None:
                self._write(self._writer, event)
        except OSError as error:
            self.close()
            self.trouble = f"The TensorBoard log in {self._folder} ends at step {event.step}: {error.strerror}."

    def close(self) -> None:
        """Write what is still in memory."""
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.close()
            except OSError as error:
                self.trouble = f"The TensorBoard log in {self._folder} is cut short: {error.strerror}."

    def _begin(self, event: Started) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event as Record
        from tensorboardX.proto.event_pb2 import SessionLog

        self.close()
        folder = self._folder / event.run
        folder.mkdir(exist_ok=True)
        # The file's name has the second; two sessions of one second are told apart by their process.
        self._writer = EventsWriter(str(folder / "events"), f".{os.getpid()}")
        if event.step:  # TensorBoard forgets what an earlier session wrote from this step on
            restart = SessionLog(status=SessionLog.START)
            self._writer.write_event(Record(step=event.step + 1, wall_time=time.time(), session_log=restart))
        self._add_text(self._writer, "run", _describe(event), event.step)

    def _write(self, writer: "EventsWriter", event: Event) -> None:
        match event:
            case Step():
                self._add(writer, "loss/train", event.loss, event.step)
                self._add(writer, "perplexity/train", event.perplexity, event.step)
                self._add(writer, "learning_rate", event.learning_rate, event.step)
                self._add(writer, "gradient_norm", event.grad_norm, event.step)
                self._add(writer, "characters_per_second", event.tokens_per_second, event.step)
            case Evaluation():
                self._add(writer, "loss/validation", event.val_loss, event.step)
                self._add(writer, "perplexity/validation", event.perplexity, event.step)
            case Sample():
                text = (event.prompt + event.text).strip("\n")
                verbatim = "\n".join(f"    {line}" for line in text.split("\n"))  # TensorBoard reads Markdown
                self._add_text(writer, "sample", verbatim, event.step)
        if time.monotonic() - self._flushed > _FLUSH_SECONDS:
            writer.flush()
            self._flushed = time.monotonic()

    def _add(self, writer: "EventsWriter", tag: str, value: float, step: int) -> None:
        from tensorboardX.proto.event_pb2 import Event as Record
        from tensorboardX.summary import scalar

        if math.isfinite(value):
            writer.write_event(Record(step=step, wall_time=time.time(), summary=scalar(tag, value)))

    def _add_text(self, writer: "EventsWriter", tag: str, value: str, step: int) -> None:
        from tensorboardX.proto.event_pb2 import Event as Record
        from tensorboardX.summary import text

        writer.write_event(Record(step=step, wall_time=time.time(), summary=text(tag, value)))


def _describe(event: Started) -> str:
    return (
        f"{event.run}: {event.preset}, {event.parameters:,} weights on {event.corpus}, {event.steps} steps of "
        f"{event.batch_size} x {event.block_size} characters, {event.device}, {event.precision}"
    )
