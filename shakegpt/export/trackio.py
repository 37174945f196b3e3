"""Events of a training for trackio: curves, samples and settings."""

import os
import sys
from typing import TYPE_CHECKING

from shakegpt.events import Event, Sample, Started
from shakegpt.export.writers import PROJECT, config_of, require_package, scalars_of, verbatim
from shakegpt.runs.run import Run

if TYPE_CHECKING:
    import trackio

_ONLINE_VARIABLES = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL")


class TrackioWriter:
    """Writes the events of a run to trackio's folder on this machine; an ``EventWriter``.

    trackio's own variables hold: ``TRACKIO_DIR`` names another folder, ``TRACKIO_SPACE_ID`` or ``TRACKIO_SERVER_URL`` a
    server. A run that is resumed goes on in the newest run of its name; the steps that it repeats are there twice.

    Raises:
        ShakegptError: trackio is not installed.
    """

    def __init__(self) -> None:
        require_package("trackio", "Writing for trackio", "trackio")
        self._run: trackio.Run | None = None

    def begin(self, run: Run, event: Started) -> None:
        """See ``EventWriter``."""
        if not any(os.environ.get(name) for name in _ONLINE_VARIABLES):
            os.environ.setdefault("HF_HUB_OFFLINE", "1")  # else it asks the hub for the name of the user
        import trackio

        _silence()
        self._run = trackio.init(
            project=PROJECT,
            name=run.name,
            config=config_of(run, event),
            resume="allow" if event.step else "never",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def write(self, event: Event) -> None:
        """See ``EventWriter``."""
        import trackio

        row: dict[str, object] = {**scalars_of(event)}
        if isinstance(event, Sample):
            row["sample"] = trackio.Markdown(verbatim(event))
        if row and self._run is not None:
            self._run.log(row, step=event.step)

    def close(self) -> None:
        """See ``EventWriter``."""
        run, self._run = self._run, None
        if run is not None:
            run.finish()


def _silence() -> None:
    """Have trackio print nothing: standard output, which it prints to, has the results of the command."""
    for name, module in tuple(sys.modules.items()):
        if name.partition(".")[0] == "trackio":
            vars(module)["print"] = lambda *_, **__: None
