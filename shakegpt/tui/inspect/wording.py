"""What the inspect screen says in words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shakegpt.inspection.head import WITHOUT_HEAD, Head, head_name
from shakegpt.tui.formatting import count
from shakegpt.tui.inspect.attention_text import Weights, cell
from shakegpt.tui.inspect.head_measurements import HeadFacts
from shakegpt.tui.inspect.inspection_thread import View
from shakegpt.tui.inspect.text_source import TextSource
from shakegpt.tui.messages import LIVE
from shakegpt.tui.widgets.top_bar import model_name

if TYPE_CHECKING:
    from shakegpt.inspection.trace import Trace


def reading_titles(view: View, source: TextSource, muted: frozenset[Head]) -> Sequence[str]:
    """Return what is read by what, the longest first."""
    name = model_name(view.model.name if view.model else view.look.reference)
    step = f", step {count(view.model.step)}" if view.model and view.look.reference == LIVE else ""
    without = f" {without_heads(muted)}" if muted else ""
    return (f"{name}{step}{without} reads {source.value}", f"{name}{step}{without}", name)


def tint_titles(head: Head, *, mean: bool, bars: bool, figures: bool) -> Sequence[str]:
    """Return what the tint or the figures mean, and the bars where there are some, the longest first."""
    looks = f"the mean of block {head[0] + 1}" if mean else f"head {head_name(head)}"
    if figures:
        return (f"tenths: what {looks} attends to", f"tenths: {looks}", "")
    with_bars = [f"tint: what {looks} attends to · bars: how likely each letter was"] * bars
    return (*with_bars, f"tint: what {looks} attends to", f"tint: {looks}", "")


def head_sentences(
    trace: "Trace", position: int, weights: Weights, head: Head, facts: HeadFacts | None, *, mean: bool
) -> Sequence[str]:
    """Return what the marked head does in general, and where it looks from the position, the longest first."""
    strongest = int(weights.argmax())
    back = position - strongest
    where = f'"{cell(trace.text[strongest])}" {back} back' if back else "itself"
    here = f"here most at {where}: {100 * weights[strongest]:.0f} %"
    if mean:
        return (f"The heads of block {head[0] + 1} together: {here}", here)
    if head in trace.muted:
        return (f"{head_name(head)} is muted: M lets it speak again",)
    name = head_name(head)
    if facts is None or facts.scores is None:
        return (f"{name} {here}",)
    described = facts.scores.describe(head)
    return (f"{name} {described} · {here}", f"{name} {described}", f"{name} {here}")


def cost_in_words(muted: frozenset[Head], facts: HeadFacts | None, *, mean: bool) -> str:
    """Return what the muted heads cost, as far as that is known; with none, the key to go on with."""
    if not muted:
        hint = "A goes back to one head" if mean else "M mutes the marked one"
        return hint if facts is None or not facts.note else facts.note
    names = without_heads(muted)
    cost = facts.cost(muted) if facts else None
    if facts is None or facts.loss is None or cost is None:
        return f"{names}: {facts.note}" if facts and facts.note else f"{names}: measuring…"
    return f"{names}: {cost:+.3f} nats, {facts.loss:.3f} → {facts.losses[muted]:.3f}"


def heads_title(facts: HeadFacts | None) -> str:
    """Return what the heads are scored on."""
    where = f": where they look in {facts.corpus}" if facts and facts.corpus else ""
    return f"Heads, as block.head{where}"


def without_heads(muted: frozenset[Head]) -> str:
    """Return the names of muted heads, as in the name of a model without them."""
    return f"{WITHOUT_HEAD}{'s' if len(muted) > 1 else ''} {', '.join(map(head_name, sorted(muted)))}".strip()
