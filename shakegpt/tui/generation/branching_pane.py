"""A text that one can walk back in, pick another letter, and have the model go on from there."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

from textual.content import Content
from textual.message import Message

from shakegpt.generation.branches import Branch, Branches, parting
from shakegpt.system.text import escape_line
from shakegpt.tui.generation.generation_thread import (
    GeneratedCharacter,
    GenerationState,
    GenerationThread,
    Update,
)
from shakegpt.tui.generation.takes import LONGEST_TEXT
from shakegpt.tui.generation.text_pane import RECENT, TextPane
from shakegpt.tui.generation.transcript import shown_length

BRANCHES_KEPT = 20
"""The most branches of a text."""
_STREAMS_KEPT = 8
"""Branches beside the one on show whose streams wait to go on: each has a cache of its own in memory."""
_EXCERPTS = 16, 8
"""Characters named of what stands before a parting, where there is room and where there is less."""


class BranchingTextPane(TextPane):
    """A text with branches, of which one is on show.

    A branch goes on as a stream does that reads what stands before the branch and the letter picked there, with the
    seed of that moment. A branch that parted where the page no longer reaches is dropped.
    """

    @dataclass
    class Told(Message):
        """There is something to say about the branches."""

        sentence: str

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.branches = Branches()
        self.branch = self.branches.root
        """The one on show."""
        self.position: int | None = None
        """The place of the letter that was walked back to; ``None`` at the end."""
        self._aside: dict[Branch, GenerationThread] = {}  # the streams of branches that are not on show

    # Walking along the text

    def walk(self, step: int) -> None:
        """Walk so many letters along the text, which stops for it; the odds there are computed."""
        if self._thread is None or self.state in (None, GenerationState.LOADING, GenerationState.FAILED):
            return
        self._thread.pause()
        first = max(self.branches.root.start, self.count - len(self.generated))
        position = max(first, (self.count if self.position is None else self.position) + step)
        if position >= self.count:
            self.leave_past()
            return
        self.position = position
        self.transcript.walked = self._place(position)
        self.transcript.scroll_into_view(self.transcript.walked)
        self._look()

    def leave_past(self) -> None:
        """Be at the end of the text again."""
        if self.position is not None:
            self.position = self.transcript.walked = None
            self.transcript.action_scroll_end()
            self.refresh_next()

    def _letter(self, position: int) -> str:
        return self.branch.characters(position, position + 1)[0][0]

    def _place(self, position: int) -> int:
        """Return where a letter stands in the transcript, counted from the end: the beginning may be gone."""
        rest = self.branch.text[position - self.branches.root.start :]
        return max(0, len(self.transcript) - shown_length(rest))

    def _prefix(self, position: int) -> str:
        before = self.branch.before(position)
        return before if self.branches.root.start else self.prompt + before

    def _look(self) -> None:
        model = self._thread.language_model if self._thread else None
        if self._thread is not None and model is not None and self.position is not None:
            prefix = self._prefix(self.position)
            open_stream = partial(self._loader.open_branch, model, prefix, lambda: self.settings)
            self._thread.look(open_stream, self._letter(self.position), self.position)

    def refresh_next(self) -> None:
        """Compute the odds on show again: the settings have changed."""
        if self.position is None:
            super().refresh_next()
        else:
            self._look()

    # Branches

    def step(self, choice: str | None = None) -> None:
        """Generate one character, drawn or chosen by hand, and pause; chosen further back, it begins a branch."""
        if choice is not None and self.position is not None:
            self._pick(choice, self.position)
        else:
            self.leave_past()
            super().step(choice)

    def _pick(self, choice: str, position: int) -> None:
        view, model = self.next_character, self._thread.language_model if self._thread else None
        if model is None or view is None or view.position != position:
            return  # the odds of another letter are still on show
        if choice == self._letter(position):
            self.walk(1)
        elif found := self.branches.find(self.branch, position, choice):
            self.show_branch(found)
            self.post_message(self.Told("This branch was there already."))
        elif len(self.branches) >= BRANCHES_KEPT:
            self.post_message(self.Told(f"There are {BRANCHES_KEPT} branches already; n begins a new text."))
        else:
            branch = self.branches.fork(self.branch, position, choice, view.model_probabilities[choice])
            prompt = self._prefix(position) + choice
            self._put_aside()
            self._show(branch)
            self._start_thread(partial(self._loader.open_branch, model, prompt, lambda: self.settings), paused=False)
            self.post_message(self.Told("A branch: [ and ] walk from one to the other, w saves."))
            self.post_message(self.Changed(self))

    def walk_branches(self, step: int) -> None:
        """Show the next branch of the tree, or the one before."""
        self.show_branch(self.branches.neighbour(self.branch, step))

    def show_branch(self, branch: Branch) -> None:
        """Show another branch, as it stood when it was left; it goes on when asked to."""
        if branch is self.branch or branch not in self.branches:
            return
        self._put_aside()
        self._show(branch)
        self._thread = self._aside.pop(branch, None)
        if self._thread is None:
            self._open_again(paused=True)
        else:
            self._thread.refresh_next()
            self._collect()
        self.post_message(self.Changed(self))

    def _show(self, branch: Branch) -> None:
        """Put a branch on the page in place of the one on show."""
        common = parting(self.branch, branch)
        self.transcript.truncate(self._place(common))
        self.branch = branch
        letters = [GeneratedCharacter(letter, math.exp(log)) for letter, log in branch.characters(common)]
        self.transcript.parting = None
        self.transcript.write_characters(letters, self._kind)
        self.transcript.action_scroll_end()
        self.generated, self.count = branch.text[-LONGEST_TEXT:], branch.end
        self.recent.clear()
        last = branch.characters(max(0, branch.end - RECENT))
        self.recent.extend(GeneratedCharacter(letter, math.exp(log)) for letter, log in last)
        self.next_character = None
        self._measured.clear()

    def _put_aside(self) -> None:
        """Let the stream on show wait, for as long as there is room for it."""
        self.leave_past()
        if self._thread is not None and self.state is not GenerationState.FAILED:
            self._thread.pause()
            self._aside[self.branch] = self._thread
        self._thread = None
        while len(self._aside) > _STREAMS_KEPT:
            self._close_aside(next(iter(self._aside)))

    def _close_aside(self, branch: Branch) -> None:
        thread = self._aside.pop(branch, None)
        if thread is not None:
            thread.close()
            self._add(branch, thread.collect())

    def _collect_aside(self, thread: GenerationThread) -> None:
        branch = next((branch for branch, aside in self._aside.items() if aside is thread), None)
        if branch is not None:
            self._add(branch, thread.collect())

    @staticmethod
    def _add(branch: Branch, update: Update) -> None:
        branch.extend((character.text, character.probability) for character in update.characters)

    # What the text does

    def resume(self, *, extend: bool = True) -> None:
        """Go on at the end."""
        self.leave_past()
        super().resume(extend=extend)

    def close_thread(self) -> None:
        """End the threads of all branches, keeping all that they generated."""
        self.position = self.transcript.walked = None
        for branch in list(self._aside):
            self._close_aside(branch)
        super().close_thread()

    def _forget_text(self) -> None:
        super()._forget_text()
        self.branches = Branches()
        self.branch = self.branches.root

    def _show_update(self, update: Update) -> None:
        self._add(self.branch, update)
        super()._show_update(update)

    def _page_was_cut(self) -> None:
        gone = self.branches.forget_before(
            self.branch, max(self.branches.root.start, self.count - len(self.transcript))
        )
        for branch in gone:
            self._close_aside(branch)
        if gone:
            branches = "A branch is gone: it" if len(gone) == 1 else f"{len(gone)} branches are gone: they"
            self.post_message(self.Told(f"{branches} parted where the page no longer reaches."))

    # In words

    @property
    def branch_texts(self) -> list[str]:
        """The whole text of every branch, with the prompt, in the order of the tree."""
        return [self._whole(branch) for branch in self.branches]

    def _whole(self, branch: Branch) -> str:
        return branch.text if self.branches.root.start else self.prompt + branch.text

    def _subtitle(self) -> Content:
        room = self.size.width - 4
        lines = branch_lines(self.branches, self.branch, self.prompt) if len(self.branches) > 1 else []
        fitting = next((line for line in lines if len(line) <= room), None)
        return super()._subtitle() if fitting is None else Content(fitting)


def branch_lines(branches: Branches, branch: Branch, prompt: str) -> list[str]:
    """Return which branch this is, in a line; the longest first."""
    number = sorted(other.number for other in branches).index(branch.number) + 1
    name = f"branch {number} of {len(branches)}"
    log = f"{branch.log_probability:,.1f}".replace("-", "−")
    if branch.parent is None:
        places = [f"{name}, the first"]
    else:
        before = prompt + branch.before(branch.start)
        excerpts = [escape_line(" ".join(before[-length:].split())) for length in _EXCERPTS]
        places = [f"{name}, parted after “…{excerpt}”" for excerpt in excerpts]
    return [f"{places[0]} · log-probability {log}", *places, name]
