"""What the inspect screen shows: the text and the heads' looks, beside them the layers, the votes and the scores."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content

from shakegpt.inspection.head import Head
from shakegpt.system.text import escape_line
from shakegpt.tui.inspect.attention_matrix import AttentionMatrix
from shakegpt.tui.inspect.attention_text import AttentionText, weights_at
from shakegpt.tui.inspect.head_map import HeadMap
from shakegpt.tui.inspect.head_measurements import HeadFacts
from shakegpt.tui.inspect.head_strip import HeadStrip
from shakegpt.tui.inspect.head_table import HeadTable
from shakegpt.tui.inspect.inspection_thread import View
from shakegpt.tui.inspect.lens_pane import ROOMY, LensPane
from shakegpt.tui.inspect.text_source import TextSource
from shakegpt.tui.inspect.votes_pane import VotesPane
from shakegpt.tui.inspect.wording import cost_in_words, head_sentences, heads_title, reading_titles, tint_titles


class InspectPanes(Vertical):
    """All panes of the screen, and what stands in their borders."""

    DEFAULT_CSS = """
    InspectPanes {
        height: 1fr;
        & > #upper { height: 1fr; }
        & #reading { width: 1fr; }
        &.small #side { display: none; }
        &.roomy HeadTable, &.roomy AttentionMatrix { display: block; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self.text = AttentionText()
        self.matrix = AttentionMatrix()
        self.map = HeadMap()
        self.lens = LensPane()
        self.votes = VotesPane()
        self.table = HeadTable()
        self.strip = HeadStrip()

    def compose(self) -> ComposeResult:
        """The text, beside it the lens and the votes, and the heads below."""
        with Horizontal(id="upper"):
            with Vertical(id="reading"):
                yield self.text
                yield self.matrix
                yield self.map
            with Vertical(id="side"):
                yield self.lens
                yield self.votes
                yield self.table
        yield self.strip

    def fit(self) -> None:
        """Leave out what there is no room for."""
        width, height = self.app.size
        self.set_class(width < 56, "small")
        self.set_class(height >= ROOMY, "roomy")

    def fail(self, error: str) -> None:
        """Say why there is nothing to show."""
        self.text.say(error)
        self.lens.show(None)
        self.votes.show(None)

    def show(self, view: View, position: int, head: Head, *, mean: bool) -> None:
        """Show what was found.

        Args:
            view: with a trace.
            position: the index in the trace's text of the marked character.
            head: the marked head.
            mean: whether the mean over the heads of its block is wanted.
        """
        trace = view.trace
        if trace is None:
            return
        self.text.show(view.look.text, trace, position, weights_at(trace, position, head, mean=mean))
        if self.matrix.display:
            self.matrix.show(trace, position, head, mean=mean)
        if self.map.display:
            self.map.show(trace, position, head)
        self.lens.show(trace, position)
        if view.votes is not None and view.votes.position == position:
            self.votes.show(view.votes, trace.text[position], None if mean else head)

    def show_heads(
        self, view: View, position: int, head: Head, facts: HeadFacts | None, source: TextSource, *, mean: bool
    ) -> None:
        """Show what is known of the heads, and say in the borders what is on show.

        Args:
            view: with a trace.
            position: the index in the trace's text of the marked character.
            head: the marked head.
            facts: what was measured; ``None`` while nothing is.
            source: where the text is from.
            mean: whether the mean over the heads of the block is on show.
        """
        trace = view.trace
        if trace is None:
            return
        muted, shape = frozenset(trace.muted), (trace.attention.shape[0], trace.attention.shape[1])
        weights = weights_at(trace, position, head, mean=mean)
        sentences = head_sentences(trace, position, weights, head, facts, mean=mean)
        self.strip.show(shape, head, muted, facts, sentences, mean=mean)
        if self.table.display:
            self.table.show(shape, head, muted, facts)
        _set_title(self.strip, [heads_title(facts)], [cost_in_words(muted, facts, mean=mean)])
        titles = [escape_line(title) for title in reading_titles(view, source, muted)]
        _set_title(self.text, titles, tint_titles(head, mean=mean, bars=self.text.has_bars, figures=self.text.plain))


def _set_title(widget: AttentionText | HeadStrip, titles: Sequence[str], subtitles: Sequence[str]) -> None:
    """Put the first title and the first subtitle that fit into a border, or else the last ones."""
    room = widget.size.width - 2
    title, subtitle = (next((text for text in texts if len(text) <= room), texts[-1]) for texts in (titles, subtitles))
    if str(widget.border_title) != title:
        widget.border_title = Content(title)
    if str(widget.border_subtitle) != subtitle:
        widget.border_subtitle = Content(subtitle)
