"""Texts that begin alike and part: what a model wrote, and what it wrote where another character was picked."""

import math
from array import array
from collections.abc import Iterable, Iterator

_LEAST = 1e-300
"""The probability below which all count alike: the logarithm of 0 would make every sum infinite."""


class Branch:
    """One of several texts that share a beginning. It keeps the part of its own; the rest is its parent's.

    Positions count the characters from the beginning of the text, even where that has been forgotten.
    """

    def __init__(self, number: int, parent: "Branch | None" = None, start: int = 0) -> None:
        self.number = number
        """From 1, in the order in which branches began."""
        self.parent = parent
        """The branch that it parted from; ``None`` for the one at the root of the tree."""
        self.start = start
        """The position of its first character of its own: the first that differs from the parent's."""
        self.own = ""
        """Its characters from ``start`` on."""
        self.log_before = 0.0
        """The log-probability, in nats, of what it shares with its parent, as far back as it is kept."""
        self._own_logs = array("d")  # the log-probability of each character of its own
        self._own_log = 0.0  # their sum

    @property
    def end(self) -> int:
        """The position after its last character."""
        return self.start + len(self.own)

    @property
    def text(self) -> str:
        """The whole text, as far back as it is kept."""
        return self.before(self.end)

    @property
    def depth(self) -> int:
        """How many branches there are between it and the root of the tree."""
        return sum(1 for _ in self.line()) - 1

    @property
    def log_probability(self) -> float:
        """The log-probability of the whole text under the model, in nats, as far back as it is kept."""
        return self.log_before + self._own_log

    def line(self) -> "Iterator[Branch]":
        """Yield the branch, its parent, and so on to the root."""
        branch: Branch | None = self
        while branch is not None:
            yield branch
            branch = branch.parent

    def before(self, position: int) -> str:
        """Return the text before a position."""
        parts: list[str] = []
        for branch in self.line():
            parts.append(branch.own[: max(0, position - branch.start)])
            position = min(position, branch.start)
        return "".join(reversed(parts))

    def characters(self, start: int = 0, end: int | None = None) -> list[tuple[str, float]]:
        """Return the characters from ``start`` to before ``end``, each with its log-probability in nats."""
        parts: list[list[tuple[str, float]]] = []
        end = self.end if end is None else min(end, self.end)
        for branch in self.line():
            first, last = max(0, start - branch.start), max(0, end - branch.start)
            parts.append(list(zip(branch.own[first:last], branch._own_logs[first:last], strict=True)))
            end = min(end, branch.start)
        return [pair for part in reversed(parts) for pair in part]

    def owner(self, position: int) -> "Branch":
        """Return the branch of the line from which a text parts that differs from this one at ``position``."""
        return next(branch for branch in self.line() if branch.parent is None or branch.start < position)

    def extend(self, characters: Iterable[tuple[str, float]]) -> None:
        """Add characters at the end, each with its probability."""
        added = list(characters)
        self.own += "".join(character for character, _ in added)
        logs = [math.log(max(probability, _LEAST)) for _, probability in added]
        self._own_logs.extend(logs)
        self._own_log += math.fsum(logs)

    def forget_before(self, position: int) -> None:
        """Become the root of a tree whose texts begin at ``position``."""
        gone = max(0, position - self.start)
        self.own = self.own[gone:]
        del self._own_logs[:gone]
        self.log_before, self._own_log = 0.0, math.fsum(self._own_logs)
        self.start = position
        self.parent = None


class Branches:
    """A tree of texts, at first of a single empty one. Any two of them differ in the character where they part."""

    def __init__(self) -> None:
        self.root = Branch(1)
        """The branch that the others parted from, at first or second hand."""
        self._branches = [self.root]
        self._count = 1

    def __len__(self) -> int:
        return len(self._branches)

    def __contains__(self, branch: object) -> bool:
        return branch in self._branches

    def __iter__(self) -> Iterator[Branch]:
        """Yield each branch before those that parted from it; of these, the one first that parted first in the text."""
        waiting = [self.root]
        while waiting:
            branch = waiting.pop()
            yield branch
            waiting += sorted(self.children(branch), key=lambda child: (-child.start, -child.number))

    def children(self, branch: Branch) -> list[Branch]:
        """Return the branches that parted from this one."""
        return [child for child in self._branches if child.parent is branch]

    def neighbour(self, branch: Branch, step: int) -> Branch:
        """Return the branch ``step`` places after this one in the order of the tree, round and round."""
        order = list(self)
        return order[(order.index(branch) + step) % len(order)]

    def find(self, branch: Branch, position: int, character: str) -> Branch | None:
        """Return the branch that is like ``branch`` before ``position`` and goes on with ``character``, if any.

        Of several the one nearest the root.
        """
        owner = branch.owner(position)
        candidates = [owner, *(child for child in self.children(owner) if child.start == position)]
        return next((found for found in candidates if found.own[position - found.start :][:1] == character), None)

    def fork(self, branch: Branch, position: int, character: str, probability: float) -> Branch:
        """Begin a branch that is like ``branch`` before ``position`` and goes on with another character.

        Args:
            branch: what it parts from.
            position: where; ``branch`` has a character there.
            character: the character in its place.
            probability: the probability of that character there.

        Raises:
            ValueError: there is nothing to part from, or a branch that goes on so already.
        """
        if not self.root.start <= position < branch.end:
            raise ValueError(f"the branch has no character at {position}")
        if self.find(branch, position, character):
            raise ValueError(f"a branch goes on with {character!r} at {position} already")
        self._count += 1
        new = Branch(self._count, branch.owner(position), position)
        new.log_before = math.fsum(log for _, log in branch.characters(end=position))
        new.extend([(character, probability)])
        self._branches.append(new)
        return new

    def forget_before(self, branch: Branch, position: int) -> list[Branch]:
        """Forget the beginning of a text, and with it the branches that parted from it there.

        Returns:
            The branches that are gone.
        """
        root = branch.owner(position)
        before = root.log_probability
        root.forget_before(max(position, root.start))
        lost = before - root.log_probability
        kept = [other for other in self._branches if _grows_from(root, other)]
        gone = [other for other in self._branches if other not in kept]
        for other in kept:
            if other is not root:
                other.log_before -= lost
        self.root, self._branches = root, kept
        return gone


def _grows_from(root: Branch, branch: Branch) -> bool:
    line = list(branch.line())
    # What parted before the root's beginning still has it for a parent, or has another root.
    return line[-1] is root and all(other.start >= root.start for other in line)


def parting(one: Branch, other: Branch) -> int:
    """Return the position in which two branches of a tree part: for a branch and itself, its end."""
    if one is other:
        return one.end
    ours, theirs = [list(reversed(list(branch.line()))) for branch in (one, other)]
    shared = sum(1 for a, b in zip(ours, theirs, strict=False) if a is b)
    return min(line[shared].start for line in (ours, theirs) if len(line) > shared)
