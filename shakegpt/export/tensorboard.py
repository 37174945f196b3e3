"""Events of a training for TensorBoard: curves and samples.

Events are written on the calling thread, in order. tensorboardX's own ``SummaryWriter`` passes them to a thread through
a queue of ten; a full disk ends that thread, and the training would wait for ever.
"""

import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shakegpt.errors import ShakegptError
from shakegpt.events import Evaluation, Event, Sample, Started, Step

if TYPE_CHECKING:
    from tensorboardX.event_file_writer import EventsWriter

_FLUSH_SECONDS = 5.0


class TensorBoardLog:
    """Writes the events of a run to a folder named after it.

    The curves of a resumed run continue: TensorBoard discards the points after the checkpoint. A full disk ends the
    log, not the training; ``error`` then says so.

    Raises:
        ShakegptError: tensorboardX is not installed, or the folder cannot be created.
    """

    def __init__(self, folder: Path) -> None:
        try:
            import tensorboardX  # noqa: F401  (a run that cannot be logged as asked should not start)
        except ImportError as error:
            raise ShakegptError(
                "Writing for TensorBoard needs tensorboardX: pip install 'shakegpt[tensorboard]'."
            ) from error
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ShakegptError(f"The TensorBoard folder {folder} cannot be made: {error.strerror}.") from error
        self._folder = folder
        self._writer: EventsWriter | None = None
        self._flushed_at = 0.0
        self.error = ""
        """Why the log ended before the training, if it did."""

    def show(self, event: Event) -> None:
        """Write an event; numbers that are not finite are left out."""
        if self.error:
            return
        try:
            if isinstance(event, Started):
                self._start(event)
            elif self._writer is not None:
                self._write(self._writer, event)
        except OSError as error:
            self.close()
            self.error = f"The TensorBoard log in {self._folder} ends at step {event.step}: {error.strerror}."

    def close(self) -> None:
        """Write what is still in memory."""
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.close()
            except OSError as error:
                self.error = f"The TensorBoard log in {self._folder} is cut short: {error.strerror}."

    def _start(self, event: Started) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog
        from tensorboardX.summary import text

        self.close()
        folder = self._folder / event.run
        folder.mkdir(exist_ok=True)
        # The file's name has the second it was created in; the process id tells two files of one second apart.
        self._writer = EventsWriter(str(folder / "events"), f".{os.getpid()}")
        if event.step:  # TensorBoard discards what an earlier session wrote from this step on
            self._add(self._writer, event.step + 1, session_log=SessionLog(status=SessionLog.START))
        self._add(self._writer, event.step, summary=text("run", _describe(event)))

    def _write(self, writer: "EventsWriter", event: Event) -> None:
        from tensorboardX.summary import scalar, text

        scalars: dict[str, float] = {}
        match event:
            case Step():
                scalars = {
                    "loss/train": event.loss,
                    "perplexity/train": event.perplexity,
                    "learning_rate": event.learning_rate,
                    "gradient_norm": event.grad_norm,
                    "characters_per_second": event.tokens_per_second,
                }
            case Evaluation():
                scalars = {"loss/validation": event.val_loss, "perplexity/validation": event.perplexity}
            case Sample():
                lines = (event.prompt + event.text).strip("\n").split("\n")
                verbatim = "\n".join(f"    {line}" for line in lines)  # TensorBoard renders Markdown
                self._add(writer, event.step, summary=text("sample", verbatim))
        for tag, value in scalars.items():
            if math.isfinite(value):
                self._add(writer, event.step, summary=scalar(tag, value))
        if time.monotonic() - self._flushed_at > _FLUSH_SECONDS:
            writer.flush()
            self._flushed_at = time.monotonic()

    def _add(self, writer: "EventsWriter", step: int, **content: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event as EventProto

        writer.write_event(EventProto(step=step, wall_time=time.time(), **content))


def _describe(event: Started) -> str:
    return (
        f"{event.run}: {event.preset}, {event.parameters:,} weights on {event.corpus}, {event.steps} steps of "
        f"{event.batch_size} x {event.block_size} characters, {event.device}, {event.precision}"
    )
