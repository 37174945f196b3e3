"""What the inspect screen shows, explained with the text and the head on show."""

import math
from typing import TYPE_CHECKING

from shakegpt.inspection.head import Head, head_name
from shakegpt.tui.dialogs.explain import Explanation
from shakegpt.tui.explanations.wording import percent, plural
from shakegpt.tui.generation.next_character import character_name

if TYPE_CHECKING:
    from shakegpt.inspection.heads import HeadScores
    from shakegpt.inspection.trace import Attribution, Trace
    from shakegpt.tui.inspect.head_measurements import HeadFacts


def explain_trace(
    trace: "Trace",
    position: int,
    head: Head,
    votes: "Attribution | None",
    facts: "HeadFacts | None" = None,
    *,
    mean: bool = False,
) -> list[Explanation]:
    """Return what there is to explain of a position of a text, and of the marked head or the mean of its block."""
    attention = explain_mean(trace, position, head[0]) if mean else explain_attention(trace, position, head)
    found = [attention, explain_lens(trace, position)]
    if votes is not None and votes.position == position:
        found.append(explain_votes(votes))
    if facts is not None and facts.scores is not None:
        found.append(explain_scores(facts.scores, facts, head))
    return [*found, explain_muting(trace, head), explain_text_loss(trace)]


def explain_attention(trace: "Trace", position: int, head: Head) -> Explanation:
    """Explain what a head attends to from a position."""
    weights = trace.attention[head[0], head[1], position]
    strongest = int(weights[: position + 1].argmax())
    read, looked = character_name(trace.text[position]), character_name(trace.text[strongest])
    back = position - strongest
    where = f'"{looked}", {back} back' if back else "itself"
    blocks, heads = trace.attention.shape[:2]
    return Explanation(
        "attention",
        "Attention",
        f"To predict what follows, each letter gathers news from the letters before it. A head is one way of choosing "
        f'them; this model has {heads} in each of its {blocks} blocks. From the marked "{read}", head '
        f"{head_name(head)} spreads 100 % over {position + 1} letters, and gives most to {where}: "
        f"{percent(float(weights[strongest]))}. The brighter the tint, the greater the share. It shows where the head "
        "looks, not what it makes of it.",
    )


def explain_mean(trace: "Trace", position: int, block: int) -> Explanation:
    """Explain what the heads of a block attend to together, with those that agree least at the strongest letter."""
    weights = trace.attention[block, :, position]  # (H, T)
    mean = weights.mean(axis=0)
    strongest = int(mean[: position + 1].argmax())
    shares = weights[:, strongest]
    most, least = int(shares.argmax()), int(shares.argmin())
    read, looked = character_name(trace.text[position]), character_name(trace.text[strongest])
    back = position - strongest
    where = f'"{looked}", {back} back' if back else "itself"
    favourites = len({int(row[: position + 1].argmax()) for row in weights})
    agree = (
        "All of them look there most."
        if favourites == 1
        else f"Each head has a letter it looks at most; the {len(weights)} have {favourites} different ones."
    )
    return Explanation(
        "attention",
        "Attention: the mean of a block",
        f"The tint shows the mean over the {len(weights)} heads of block {block + 1}: what they give to a letter, "
        f'added up and divided by {len(weights)}. From the marked "{read}" the largest mean share goes to {where}: '
        f"{percent(float(mean[strongest]))}. Of its own attention, head {head_name((block, most))} gives it "
        f"{percent(float(shares[most]))}, head {head_name((block, least))} {percent(float(shares[least]))}. {agree} "
        "The mean "
        "shows what the block takes in; it hides who does what, so A goes back to one head.",
    )


def explain_lens(trace: "Trace", position: int) -> Explanation:
    """Explain the logit lens at a position."""
    ((answer, share),) = trace.likeliest(position, 1)
    ((early, early_share),) = trace.likeliest(position, 1, layer=0)
    decided = trace.decided_at(position)
    where = f"block {decided}" if decided else "the embedding"
    return Explanation(
        "lens",
        "What each layer would say",
        "Each block adds to a list of numbers that the letter carries through the model, and the last step turns that "
        "list into odds. The lens takes that last step early, after each layer. Before any block the answer here would "
        f'be "{character_name(early)}" ({percent(early_share)}); at the end it is "{character_name(answer)}" '
        f"({percent(share)}), which leads from {where} on. So one sees where in the model the answer is made.",
    )


def explain_votes(votes: "Attribution") -> Explanation:
    """Explain what the parts of the model add to an answer."""
    layer, head = (int(index) for index in divmod(int(votes.heads.argmax()), votes.heads.shape[1]))
    return Explanation(
        "votes",
        "Votes",
        f'The score of "{character_name(votes.character)}" before it becomes a probability, its logit, is '
        f"{votes.logit:+.2f} here. It is a sum, so each part of the model can be asked what it added: the heads "
        f"together "
        f"{float(votes.heads.sum()):+.2f}, the MLPs {float(votes.mlps.sum()):+.2f}, the letter itself "
        f"{votes.token:+.2f}. "
        f"Of the heads, {head_name((layer, head))} votes for it most, with {float(votes.heads.max()):+.2f}. One "
        f"more in "
        f"the logit makes a letter {math.e:.1f} times as likely, compared with the others.",
    )


def explain_scores(scores: "HeadScores", facts: "HeadFacts", head: Head) -> Explanation:
    """Explain what a head does on average, and the score of an induction head."""
    copies = ""
    if facts.induction is not None:
        copies = (
            f" On random text that is read twice, {percent(float(facts.induction[head]))} goes to what followed the "
            "same letter the first time: a head that gives most there copies, and is called an induction head."
        )
    spread = 2 ** float(scores.entropy[head])
    return Explanation(
        "scores",
        "What a head does on average",
        f"Over {scores.characters:,} letters of the validation text of {facts.corpus}, head {head_name(head)} gives "
        f"{percent(float(scores.previous[head]))} of its attention to the letter before and "
        f"{percent(float(scores.itself[head]))} to the letter itself. It looks {float(scores.distance[head]):.0f} back "
        f"on average, and spreads over about {plural(round(spread), 'letter')}.{copies} The share is a mean: in the "
        "text on show it may look elsewhere.",
    )


def explain_muting(trace: "Trace", head: Head) -> Explanation:
    """Explain what muting a head does."""
    names = ", ".join(head_name(muted) for muted in trace.muted)
    now = f"Muted now: {names}." if names else "None is muted now."
    return Explanation(
        "mute",
        "Muting a head",
        f"M takes what head {head_name(head)} gathers out of the model, here and where text is generated. {now} The "
        "text gets worse by what only that head knew: the cost below the strip, in nats, is how much the loss on the "
        "validation text rises. A cost near 0 means that others do the same job.",
    )


def explain_text_loss(trace: "Trace") -> Explanation:
    """Explain the mean loss of the text that is read."""
    loss = trace.mean_loss
    if not math.isfinite(loss):
        return Explanation(
            "loss", "The loss of this text", "A single letter has nothing before it to be predicted from."
        )
    return Explanation(
        "loss",
        "The loss of this text",
        f"Over these {len(trace.text):,} letters the model's mean loss is {loss:.3f}: it gave the letters that "
        f"did come a "
        f"typical probability of {percent(math.exp(-loss))}, as if it chose each among {math.exp(loss):.1f} "
        f"equal ones. "
        "Text like that which it was trained on has a low loss; another language, or a typing error, a high one.",
    )
