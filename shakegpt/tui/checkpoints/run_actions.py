"""What can be done with the chosen run: train on, stop, rename, delete and restore, compare curves."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.message import Message

from shakegpt.errors import ShakegptError
from shakegpt.runs.run import check_run_name
from shakegpt.runs.sweeps import load_plan
from shakegpt.runs.trash import Trash
from shakegpt.system.text import escape_control_characters
from shakegpt.training.setup import TrainingRequest
from shakegpt.training.sweep import begin_in_background, stop_sweep, sweep_owner
from shakegpt.tui import formatting
from shakegpt.tui.checkpoints.compare_actions import COMPARE_BINDINGS, CompareActions
from shakegpt.tui.checkpoints.listed_runs import ListedRun
from shakegpt.tui.checkpoints.sweep_groups import ListedSweep
from shakegpt.tui.context import AppContext
from shakegpt.tui.dialogs.questions import ConfirmScreen, PromptScreen
from shakegpt.tui.messages import GenerateFrom, StartTraining

_TRAIN = Binding.Group("Train")
_CHANGE = Binding.Group("Delete, rename, copy")
_REUSE = Binding.Group("Another text")
_CHANGES = frozenset({"resume", "new_run", "fine_tune", "stop", "delete", "undo", "rename"})
"""Actions that write to the store."""


class RunActions(CompareActions):
    """The actions of the checkpoint screen, which says which row they are for. Changes to the store are on a thread."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "resume", "Resume", id="runs.resume", tooltip="Train on from it", group=_TRAIN),
        Binding("n", "new_run", "New run", id="runs.new", tooltip="Choose what to train, and start", group=_TRAIN),
        Binding(
            "X",
            "stop",
            "Stop",
            id="runs.stop",
            tooltip="Stop the run if it trains; asks first",
            group=_TRAIN,
            show=False,
        ),
        *COMPARE_BINDINGS,
        Binding("D,delete", "delete", "Delete", id="runs.delete", tooltip="Delete it; asks first", group=_CHANGE),
        Binding("ctrl+z", "undo", "Undo", id="runs.undo", tooltip="Bring back what was deleted last", group=_CHANGE),
        Binding(
            "R", "rename", "Rename", id="runs.rename", tooltip="Give the run another name", group=_CHANGE, show=False
        ),
        Binding("y", "copy_path", "Copy path", id="runs.copy", tooltip="Copy its path", group=_CHANGE, show=False),
        Binding(
            "f",
            "fine_tune",
            "Fine-tune",
            id="runs.fine-tune",
            tooltip="Begin a new run from its weights, on another text",
            group=_REUSE,
        ),
    ]

    @dataclass
    class StoreChanged(Message):
        """Something was done to the store, or could not be."""

        result: str
        failed: bool = False

    def __init__(self, context: AppContext) -> None:
        super().__init__(context)
        self.trash = Trash(context.store.runs_folder)

    def action_refresh(self) -> None:
        """Read the store again."""
        raise NotImplementedError

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Offer to undo only where something was deleted, and changes only in a store that can be changed."""
        if action in _CHANGES and not self.context.store.writable:
            return False
        return action != "undo" or len(self.trash) > 0

    def on_unmount(self) -> None:
        """Delete for good what was deleted."""
        self.trash.empty()

    # Generate and train

    def listen(self) -> None:
        """Open the checkpoint in the generation screen."""
        if (row := self.current) is None:
            return
        if row.best is None:
            self.say(f"{row.run.name} has no checkpoint yet.")
        else:
            self.post_message(GenerateFrom(row.best.reference))

    def action_resume(self) -> None:
        """Resume training from the checkpoint; ask for more steps where the run has taken all of its own."""
        row = self.current
        if row is not None and row.sweep is not None:
            self._resume_sweep(row.sweep)
            return
        checkpoint = row.last if row else None
        if row is None or checkpoint is None:
            self.say("There is no checkpoint here to resume from.")
        elif row.run.is_built_in:
            self.say("The built-in model ships without what a resume needs: n starts a run of your own.")
        elif row.run.status == "training":
            self.say(f"{row.run.name} is in training already.")
        elif checkpoint.info.step < row.run.steps:
            self.post_message(StartTraining(TrainingRequest(resume=checkpoint.reference)))
        else:
            steps = row.run.steps
            question = f"{row.run.name} has taken all its {formatting.count(steps)} steps. Train on to which step?"
            resume = partial(self._resume_to, checkpoint.reference)
            self.app.push_screen(PromptScreen(question, str(2 * steps), partial(_check_steps, steps)), resume)

    def _resume_sweep(self, sweep: ListedSweep) -> None:
        """Go on with what is missing of a sweep, in a process of its own."""
        store, name = self.context.store, sweep.name
        if not sweep.identity.path:
            self.say(f"{name} was planned elsewhere: resume its runs one by one; l shows them.")
        elif sweep.finished == sweep.size:
            self.say(f"All runs of {name} are finished.")
        elif (owner := sweep_owner(store, name)) is not None:
            self.say(f"{name} is in training already, by {owner}.")
        else:
            self._change_store(
                lambda: begin_in_background(store, load_plan(store, name)),
                f"{name} goes on, without the app: {sweep.size - sweep.finished} of {sweep.size} runs are to be done.",
            )

    def _resume_to(self, reference: str, steps: str | None) -> None:
        if steps is not None:
            changes = {"steps": int(steps.replace(",", ""))}
            self.post_message(StartTraining(TrainingRequest(changes=changes, resume=reference)))

    def action_new_run(self) -> None:
        """Ask what to train, and start it."""
        from shakegpt.tui.training.open_form import open_new_run_form

        open_new_run_form(self, self.context)

    def action_fine_tune(self) -> None:
        """Ask what to train, with the checkpoint filled in as what to begin from."""
        from shakegpt.tui.training.open_form import open_new_run_form
        from shakegpt.tui.training.run_form import fine_tuning_values

        row = self.current
        if row is None or row.best is None:
            self.say("There is no checkpoint here to begin from.")
            return
        values = fine_tuning_values(self.context.preferences.new_run, row.run.corpus)
        open_new_run_form(self, self.context, begin_from=row.best.reference, values=values)

    def action_stop(self) -> None:
        """Ask, then have the run saved and stopped by the process that trains it."""
        if (row := self.current) is None:
            return
        if row.sweep is not None:
            self._stop_sweep(row.sweep)
            return
        run = row.run
        if run.status != "training" or run.owner is None:
            self.say(f"{run.title} is not in training.")
            return
        if not run.owner.here:
            self.say(f"{run.name} is trained by {run.owner}: it can only be stopped there.")
            return
        own = self._own_training_name() == run.name
        whose = "this window" if own else str(run.owner)

        def on_answer(yes: bool | None) -> None:
            if yes and own and self.context.own_training is not None:
                self.context.own_training.stop()
            elif yes:
                self._change_store(lambda: self.context.store.run(run.name).request("stop"), f"Stopping {run.name}…")

        question = f"Stop {run.name}? It is trained by {whose}, and saves a checkpoint first."
        self.app.push_screen(ConfirmScreen(question, "stop it", f"Stop {run.name}?"), on_answer)

    def _stop_sweep(self, sweep: ListedSweep) -> None:
        store, name = self.context.store, sweep.name
        owner = sweep_owner(store, name) if sweep.identity.path else None
        if owner is None:
            self.say(f"{name} is not in training as a sweep; l shows its runs.")
            return

        def on_answer(yes: bool | None) -> None:
            if yes:
                self._change_store(lambda: stop_sweep(store, name), f"Stopping {name}…")

        question = f"Stop the sweep {name}? It is trained by {owner}, which saves its runs first; r goes on with it."
        self.app.push_screen(ConfirmScreen(question, "stop it", f"Stop {name}?"), on_answer)

    def _own_training_name(self) -> str | None:
        training = self.context.own_training
        return training.latest.started.run if training is not None and training.latest.started is not None else None

    # Path

    def action_copy_path(self) -> None:
        """Copy the path, and show it: over SSH the clipboard may not be reached."""
        if (row := self.current) is not None:
            self.app.copy_to_clipboard(row.path)
            self.say(f"Copied {row.path}")

    # Rename, delete, restore

    def action_rename(self) -> None:
        """Ask for another name."""
        if (row := self.current) is not None and row.sweep is not None:
            self.say("A sweep cannot be renamed, but its runs can; l shows them.")
        elif row is not None and self._can_change(row.run, "renamed"):
            old = row.run.name
            self.app.push_screen(
                PromptScreen(f"A new name for {old}:", old, check_run_name), partial(self._rename, old)
            )

    def _rename(self, old: str, new: str | None) -> None:
        if new is None or new == old:
            return

        def rename() -> None:
            run = self.context.store.run(old)
            self.trash.follow_rename(run.path, run.rename(new).path)
            self.run_list.rename(old, new)

        self._change_store(rename, f"{old} is now called {new}.")

    def action_delete(self) -> None:
        """Ask, then move the run or the checkpoint into the trash."""
        if (row := self.current) is not None and row.sweep is not None:
            self._delete_sweep(row.sweep)
            return
        if row is None or not self._can_change(row.run, "deleted"):
            return
        name, checkpoint = row.run.name, row.checkpoint
        if checkpoint is None:
            count = len(row.run.checkpoints)
            size = formatting.size(row.run.bytes)
            what = f"the run {name} with its {count} checkpoint{'s' * (count != 1)} ({size})"
        else:
            what = f"the checkpoint {checkpoint.reference} ({formatting.size(checkpoint.info.bytes)})"
        step = checkpoint.info.step if checkpoint else None

        def on_answer(yes: bool | None) -> None:
            if yes:
                self._change_store(
                    lambda: self.trash.delete(self.context.store.run(name), step), f"Deleted {what}; ctrl+z undoes it."
                )

        question = f"Delete {what}? ctrl+z brings it back until shakegpt ends."
        self.app.push_screen(
            ConfirmScreen(question, "delete it", f"Delete {checkpoint.reference if checkpoint else name}?"), on_answer
        )

    def _delete_sweep(self, sweep: ListedSweep) -> None:
        runs = sweep.runs
        if not all(self._can_change(run, "deleted") for run in runs):
            return
        what = f"all {len(runs)} listed runs of {sweep.name} ({formatting.size(sweep.bytes)})"

        def delete() -> None:
            for run in runs:
                self.trash.delete(self.context.store.run(run.name))

        def on_answer(yes: bool | None) -> None:
            if yes:
                self._change_store(delete, f"Deleted {what}; ctrl+z brings them back one by one.")

        question = f"Delete {what}? ctrl+z brings them back one by one until shakegpt ends."
        self.app.push_screen(ConfirmScreen(question, "delete them", f"Delete {sweep.name}?"), on_answer)

    def action_undo(self) -> None:
        """Bring back what was deleted last."""
        self._change_store(lambda: f"{self.trash.restore()} is back.", "")

    def _can_change(self, run: ListedRun, what: str) -> bool:
        if run.is_built_in:
            self.say(f"The built-in model ships with shakegpt and cannot be {what}.")
        elif run.status == "training":
            self.say(f"{run.name} is in training and cannot be {what}; stop it first.")
        else:
            return True
        return False

    @work(thread=True, group="change", exit_on_error=False)
    def _change_store(self, change: Callable[[], object], result: str) -> None:
        """Change the store, and report it in the words of ``result``, or of what ``change`` returns."""
        try:
            done = change()
        except (ShakegptError, OSError) as error:
            self.post_message(self.StoreChanged(escape_control_characters(str(error)), failed=True))
        else:
            self.post_message(self.StoreChanged(result or str(done)))

    def on_run_actions_store_changed(self, message: StoreChanged) -> None:
        """Report what was done, and read the store again."""
        self.notify(message.result, severity="error" if message.failed else "information", markup=False)
        self.refresh_bindings()
        self.action_refresh()


def _check_steps(steps_done: int, steps: str) -> None:
    digits = steps.replace(",", "")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10 and int(digits) > steps_done):
        raise ValueError(f"Give a whole number above {formatting.count(steps_done)}.")
