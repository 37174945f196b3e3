"""Text wrapped into lines, growing at its end: what a transcript scrolls over."""

from bisect import bisect_right

from rich.cells import get_character_cell_size


class WrappedText:
    """Characters in lines of at most ``width`` cells, broken after spaces where there are any.

    Appending looks only at the last line, so a character costs the same at the end of a long text as of a short one.

    Args:
        width: cells in a line; at least 1.
    """

    def __init__(self, width: int) -> None:
        self.width = max(1, width)
        self.characters: list[str] = []
        self._starts = [0]  # the index at which each line begins
        self._cells = 0  # of the last line, without the spaces that hang over its edge
        self._break = 0  # the index after the last space of the last line; the line's start where it has none

    @property
    def line_count(self) -> int:
        """The number of lines; the last may be empty."""
        return len(self._starts)

    def span(self, line: int) -> tuple[int, int]:
        """Return where a line begins and ends, without its newline."""
        start = self._starts[line]
        end = self._starts[line + 1] if line + 1 < len(self._starts) else len(self.characters)
        if end > start and self.characters[end - 1] == "\n":
            end -= 1
        return start, end

    def lines(self) -> list[str]:
        """Return every line, without its newline."""
        return ["".join(self.characters[slice(*self.span(line))]) for line in range(self.line_count)]

    def line_of(self, index: int) -> int:
        """Return the line of the character at ``index``."""
        return bisect_right(self._starts, index) - 1

    def cells(self, line: int) -> int:
        """Return the width of a line in cells, at most the width of the text."""
        start, end = self.span(line)
        return min(self.width, sum(map(get_character_cell_size, self.characters[start:end])))

    def append(self, text: str) -> int:
        """Add ``text`` at the end; return the first line that looks different for it."""
        changed = self.line_count - 1
        for character in text:
            self._append_one(character)
        return changed

    def truncate(self, length: int) -> None:
        """Remove everything from ``length`` on."""
        paragraph = length
        while paragraph and self.characters[paragraph - 1] != "\n":
            paragraph -= 1
        kept = "".join(self.characters[paragraph:length])
        del self.characters[paragraph:]
        line = self.line_of(paragraph)
        del self._starts[line + 1 :]
        self._starts[line] = self._break = paragraph
        self._cells = 0
        self.append(kept)

    def drop_lines(self, length: int) -> tuple[int, int]:
        """Remove the lines that begin before ``length``, but never the last one.

        Returns:
            The number of lines and of characters that are gone.
        """
        line = min(self.line_of(max(0, length - 1)) + 1, self.line_count - 1)
        gone = self._starts[line]
        del self.characters[:gone]
        self._starts = [start - gone for start in self._starts[line:]]
        self._break = max(0, self._break - gone)
        return line, gone

    def resize(self, width: int) -> None:
        """Wrap all lines at another width."""
        if max(1, width) == self.width:
            return
        text = "".join(self.characters)
        WrappedText.__init__(self, width)
        self.append(text)

    def _append_one(self, character: str) -> None:
        index = len(self.characters)
        self.characters.append(character)
        if character == "\n":
            self._begin_line(index + 1)
            return
        size = 1 if character.isascii() else get_character_cell_size(character)
        if self._cells + size <= self.width:
            self._cells += size
        elif character != " ":  # a space at the edge hangs over it, invisible
            start = self._starts[-1]
            self._begin_line(self._break if self._break > start else index)
            rest = self.characters[self._starts[-1] :]
            self._cells = sum(map(get_character_cell_size, rest))
        if character == " ":
            self._break = index + 1

    def _begin_line(self, start: int) -> None:
        self._starts.append(start)
        self._break = start
        self._cells = 0
