"""Text broken into lines, growing at its end: what a transcript scrolls over."""

from rich.cells import get_character_cell_size


class Flow:
    """Characters laid out in lines of at most ``width`` cells, broken after spaces where there are any.

    Appending looks only at the last line, so a character costs the same at the end of a long text as of a short one.

    Args:
        width: cells in a line; at least 1.
    """

    def __init__(self, width: int) -> None:
        self.width = max(1, width)
        self.characters: list[str] = []
        self._starts = [0]  # where each line begins
        self._cells = 0  # of the last line, its hanging spaces left out
        self._break = 0  # the place in the last line after its last space; its start where it has none

    @property
    def lines(self) -> int:
        """How many lines there are; the last may be empty."""
        return len(self._starts)

    def span(self, line: int) -> tuple[int, int]:
        """Return where a line begins and ends, its newline left out."""
        start = self._starts[line]
        end = self._starts[line + 1] if line + 1 < len(self._starts) else len(self.characters)
        if end > start and self.characters[end - 1] == "\n":
            end -= 1
        return start, end

    def line_of(self, index: int) -> int:
        """Return the line that the character at ``index`` stands in."""
        low, high = 0, len(self._starts) - 1
        while low < high:
            middle = (low + high + 1) // 2
            if self._starts[middle] <= index:
                low = middle
            else:
                high = middle - 1
        return low

    def cells(self, line: int) -> int:
        """Return the width of a line in cells, at most the width of the flow."""
        start, end = self.span(line)
        return min(self.width, sum(map(get_character_cell_size, self.characters[start:end])))

    def append(self, text: str) -> int:
        """Write ``text`` at the end; return the first line that looks different for it."""
        changed = self.lines - 1
        for character in text:
            self._place(character)
        return changed

    def truncate(self, length: int) -> None:
        """Forget everything from ``length`` on."""
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

    def resize(self, width: int) -> None:
        """Break all lines anew."""
        if max(1, width) == self.width:
            return
        text = "".join(self.characters)
        Flow.__init__(self, width)
        self.append(text)

    def _place(self, character: str) -> None:
        index = len(self.characters)
        self.characters.append(character)
        if character == "\n":
            self._begin_line(index + 1)
            return
        size = 1 if character.isascii() else get_character_cell_size(character)
        if self._cells + size <= self.width:
            self._cells += size
        elif character != " ":  # a space at the edge hangs over it unseen
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
