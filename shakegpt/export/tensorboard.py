"""Events of a training for TensorBoard: curves and samples.

Events are written on the calling thread, in order. tensorboardX's own ``SummaryWriter`` passes them to a thread through
a queue of ten, which a full disk ends.
"""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shakegpt.errors import ShakegptError
from shakegpt.events import Event, Sample, Started
from shakegpt.export.writers import require_package, scalars_of, verbatim
from shakegpt.runs.run import Run

if TYPE_CHECKING:
    from tensorboardX.event_file_writer import EventsWriter

_FLUSH_SECONDS = 5.0


class TensorBoardWriter:
    """Writes the events of a run to a folder named after it; an ``EventWriter``.

    The curves of a resumed run continue: TensorBoard discards the points after the checkpoint.

    Raises:
        ShakegptError: tensorboardX is not installed, or the folder cannot be created.
    """

    def __init__(self, folder: Path) -> None:
        require_package("tensorboardX", "Writing for TensorBoard", "tensorboard")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ShakegptError(f"The TensorBoard folder {folder} cannot be made: {error.strerror}.") from error
        self._folder = folder
        self._writer: EventsWriter | None = None
        self._flushed_at = 0.0

    def begin(self, run: Run, event: Started) -> None:
        """See ``EventWriter``."""
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog
        from tensorboardX.summary import text

        self.close()
        folder = self._folder / run.name
        folder.mkdir(exist_ok=True)
        # The file's name has the second it was created in; the process id tells two files of one second apart.
        self._writer = EventsWriter(str(folder / "events"), f".{os.getpid()}")
        if event.step:  # TensorBoard discards what an earlier session wrote from this step on
            self._add(event.step + 1, session_log=SessionLog(status=SessionLog.START))
        self._add(event.step, summary=text("run", _describe(event)))

    def write(self, event: Event) -> None:
        """See ``EventWriter``."""
        from tensorboardX.summary import scalar, text

        if isinstance(event, Sample):
            self._add(event.step, summary=text("sample", verbatim(event)))
        for tag, value in scalars_of(event).items():
            self._add(event.step, summary=scalar(tag, value))
        if self._writer is not None and time.monotonic() - self._flushed_at > _FLUSH_SECONDS:
            self._writer.flush()
            self._flushed_at = time.monotonic()

    def close(self) -> None:
        """See ``EventWriter``."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _add(self, step: int, **content: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event as EventProto

        if self._writer is not None:
            self._writer.write_event(EventProto(step=step, wall_time=time.time(), **content))


def _describe(event: Started) -> str:
    return (
        f"{event.run}: {event.preset}, {event.parameters:,} weights on {event.corpus}, {event.steps} steps of "
        f"{event.batch_size} x {event.block_size} characters, {event.device}, {event.precision}"
    )
