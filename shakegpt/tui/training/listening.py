"""The part of the training screen that lets the run on show be heard."""

from collections.abc import Callable

from textual.screen import Screen

from shakegpt.events import Saved
from shakegpt.runs.snapshot import ENDED, Snapshot
from shakegpt.runs.source import TrainingSource
from shakegpt.tui.context import AppContext
from shakegpt.tui.messages import LIVE, GenerateFrom


class ListeningScreen(Screen[None]):
    """A screen whose run is heard with its newest weights."""

    def __init__(self, context: AppContext) -> None:
        super().__init__()
        self.context = context
        self.snapshot: Snapshot | None = None
        """The newest of the run on show."""
        self._asked: tuple[str, Saved | None] | None = None
        """Whose weights another process was asked to save, and what it had saved before."""

    @property
    def run_name(self) -> str | None:
        """The name of the run on show, once it is known."""
        return run_of(self.snapshot) if self.snapshot else None

    def send(self, command: Callable[[TrainingSource], None], pending: str) -> None:
        """Send the run a command, and show it until the run has carried it out after its step."""
        raise NotImplementedError

    def action_generate(self) -> None:
        """Generate with the run's newest weights, and say which those are.

        Those of another process can only be had through a checkpoint: it is asked to save one. Where it cannot be
        asked, its newest checkpoint is taken; where the run has ended, its best.
        """
        training, snapshot = self.context.training, self.snapshot
        if snapshot is None or self.run_name is None:
            return
        if self.context.own_training is not None:
            self._listen(LIVE)
        elif training is not None and training.alive and not training.read_only:
            self._asked = self.run_name, snapshot.saved
            self.send(lambda training: training.save(), "saving")
            asking = f"Asking for the weights of {self.run_name}: its process saves them after this step."
            self.notify(asking, timeout=2, markup=False)
        else:
            self._listen_to_checkpoint()

    def _listen_to_checkpoint(self) -> None:
        """Generate with the newest checkpoint of a run in training, and the best of one that has ended."""
        snapshot = self.snapshot
        if snapshot is None or self.run_name is None:
            return
        if snapshot.saved is None:
            self._asked = None
            self.notify("This run has saved no checkpoint yet.", severity="warning")
        elif snapshot.state in ENDED:
            self._listen(self.run_name)
        else:
            behind = snapshot.current_step - snapshot.saved.step
            self._listen(f"{self.run_name}@{snapshot.saved.step}", behind)

    def _listen(self, reference: str, behind: int | None = None) -> None:
        self._asked = None
        self.post_message(GenerateFrom(reference, behind))

    def listen_if_saved(self) -> None:
        """Generate with the checkpoint that another process was asked for, once it is there or cannot come.

        While a dialog is open that waits until it closes.
        """
        if self._asked is None or self.snapshot is None or not self.is_active:
            return
        name, before = self._asked
        if name != self.run_name:
            self._asked = None
        elif self.snapshot.state in ENDED or self.snapshot.saved not in (None, before):
            self._listen_to_checkpoint()

    def stop_waiting(self) -> None:
        """Listen to nothing: the user has gone to another screen."""
        self._asked = None


def run_of(snapshot: Snapshot) -> str | None:
    """Return the name of a snapshot's run, once it is known."""
    return snapshot.started.run if snapshot.started else None
