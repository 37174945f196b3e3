"""The figures of a training, explained with those of the run on show."""

import math
from typing import TYPE_CHECKING

from shakegpt.events import Evaluation, Started, Step, bits_per_character, perplexity
from shakegpt.inspection.head import head_name
from shakegpt.runs.overfitting import overfitting
from shakegpt.runs.snapshot import Snapshot
from shakegpt.tui import formatting
from shakegpt.tui.dialogs.explain import Explanation
from shakegpt.tui.explanations.wording import percent

if TYPE_CHECKING:
    from shakegpt.evaluation.ngrams import TableLosses


def explain_run(snapshot: Snapshot, tables: "TableLosses | None" = None) -> list[Explanation]:
    """Return what there is to explain of a run, as far as its figures are known."""
    started, step = snapshot.started, snapshot.step
    if started is None or step is None:
        return []
    found = [
        explain_loss(step.loss, snapshot.evaluation, started.vocab_size),
        explain_tables(snapshot.evaluation, tables),
        explain_perplexity(step.loss, snapshot.evaluation, started.vocab_size),
        explain_learning_rate(snapshot, step),
        explain_gradient(step),
        explain_speed(started, step),
        explain_heads(snapshot),
    ]
    if (fit := overfitting(snapshot)) is not None:
        found.append(Explanation("overfitting", "Overfitting", fit.sentence))
    return [explanation for explanation in found if explanation is not None]


def explain_loss(train: float, evaluation: Evaluation | None, vocab_size: int) -> Explanation:
    """Explain the loss of the newest step, and of the newest evaluation where there is one."""
    loss, whose = (train, "training") if evaluation is None else (evaluation.val_loss, "validation")
    text = (
        f"The model gives every character of the vocabulary a probability of coming next. The loss is the mean "
        f"of minus "
        f"the natural logarithm of the probability that it gave to the one that did come: a {whose} loss of {loss:.3f} "
        f"means a typical probability of {percent(math.exp(-loss))}. Guessing among all {vocab_size} characters with "
        f"equal odds would score {math.log(vocab_size):.3f}; 0 would be certainty that is always right."
    )
    if evaluation is not None:
        text += (
            f" The training loss, now {train:.3f}, is of text the model learns from; the validation loss is of text it "
            "never learns from, so only that one tells whether it has understood more than it remembers."
        )
    return Explanation("loss", "Loss", text)


def explain_tables(evaluation: Evaluation | None, tables: "TableLosses | None") -> Explanation | None:
    """Explain the lines across the chart of the loss."""
    if tables is None:
        return None
    reach = ", ".join(f"{loss:.2f}" for loss in tables.losses[:5])
    text = (
        "A table of 3 characters holds how often each group of 3 stands in the training text, and so predicts every "
        "character from the 2 before it; it needs no neural network. On the validation text of this run, tables "
        "of 1 to "
        f"5 characters reach a loss of {reach}. Longer tables soon stop helping: most long groups were never seen "
        "before, and a table cannot tell that two of them mean the same."
    )
    if evaluation is not None:
        beaten = tables.beaten(evaluation.val_loss)
        which = "all of them" if beaten == len(tables.losses) else f"those of up to {beaten}" if beaten else "none yet"
        text += f" With a validation loss of {evaluation.val_loss:.3f} the model has beaten {which}."
    return Explanation("tables", "The lines of the tables", text)


def explain_perplexity(train: float, evaluation: Evaluation | None, vocab_size: int) -> Explanation:
    """Explain the perplexity of the newest evaluation, or of the newest step before the first."""
    loss = train if evaluation is None else evaluation.val_loss
    return Explanation(
        "perplexity",
        "Perplexity",
        f"Perplexity is the loss in another unit: e to the power of {loss:.3f} is {perplexity(loss):.2f}. The model is "
        f"as unsure of the next character as if it chose among {perplexity(loss):.2f} equally likely ones; the "
        f"vocabulary has {vocab_size}. In bits it is {bits_per_character(loss):.2f} a character: the size to which the "
        "model could compress this text.",
    )


def explain_learning_rate(snapshot: Snapshot, step: Step) -> Explanation:
    """Explain the learning rate at the newest step, and where it stands in its schedule."""
    rates = [point.learning_rate for point in snapshot.train.points()]
    highest, rate = max(rates, default=step.learning_rate), step.learning_rate
    at = f"at step {formatting.count(step.step)} of {formatting.count(snapshot.steps)}"
    where = (
        "its highest so far"
        if rate >= highest
        else f"{percent(rate / highest)} of its highest, {formatting.scientific(highest)}"
    )
    return Explanation(
        "learning-rate",
        "Learning rate",
        f"After each batch every weight moves a little in the direction that lowers the loss; the learning rate "
        f"says how "
        f"far. It is {formatting.scientific(rate)} {at}: {where}. It rises from zero at first, because the "
        f"first directions are "
        f"rough, and "
        "then falls along a cosine: large steps find the region, small ones settle in it.",
    )


def explain_gradient(step: Step) -> Explanation:
    """Explain the norm of the gradient."""
    return Explanation(
        "gradient",
        "Gradient norm",
        f"The gradient says for each weight how the loss changes when that weight does; its norm, now "
        f"{formatting.decimal(step.grad_norm)}, is the length of all these numbers together. A steady value means that "
        "training is calm. A sudden jump means an unusual batch, or a learning rate that is too high; longer gradients "
        "than the clipping limit are shortened before they act, so that one batch cannot undo what many have taught.",
    )


def explain_speed(started: Started, step: Step) -> Explanation:
    """Explain the speed of a training."""
    batch = started.batch_size * started.block_size
    return Explanation(
        "speed",
        "Speed",
        f"One step reads {started.batch_size} pieces of {started.block_size} characters, {batch:,} in all, and "
        f"predicts "
        f"each of them from those before it. At {formatting.count(step.tokens_per_second)} characters a second that is "
        f"{step.tokens_per_second / batch:.1f} steps a second. So far the run has read "
        f"{formatting.compact(step.tokens)} characters.",
    )


def explain_heads(snapshot: Snapshot) -> Explanation | None:
    """Explain the strips of the heads."""
    if not snapshot.inspections:
        return None
    newest = snapshot.inspections[-1]
    scores = {
        (block, head): share
        for block, shares in enumerate(newest.previous_character)
        for head, share in enumerate(shares)
    }
    best = max(scores, key=lambda head: scores[head])
    first = snapshot.inspections[0].previous_character
    before = first[best[0]][best[1]] if best[0] < len(first) and best[1] < len(first[best[0]]) else math.nan
    was = f"; at step {snapshot.inspections[0].step:,} it was {percent(before)}" if math.isfinite(before) else ""
    return Explanation(
        "heads",
        "The strips of the heads",
        f"An attention head decides, at each character, which earlier characters to look at. A strip is one head, with "
        "the steps to the right: the brighter, the more of its attention goes to the character just before. "
        f"Of {len(scores)} heads, {head_name(best)} does so most: {percent(scores[best])} at step "
        f"{newest.step:,}{was}. "
        "Nobody tells a head to do this; where a strip lights up, a head has found a job. It is measured at each "
        f"evaluation on the same {newest.characters:,} characters.",
    )
