"""The knobs of the generation and the odds of a letter, explained with those on show."""

import math
from typing import TYPE_CHECKING

from shakegpt.config import SamplingConfig
from shakegpt.tui.dialogs.explain import Explanation
from shakegpt.tui.explanations.wording import percent, plural
from shakegpt.tui.generation.next_character import character_name

if TYPE_CHECKING:
    from shakegpt.tui.generation.generation_thread import NextCharacterView


def explain_generation(settings: SamplingConfig, view: "NextCharacterView | None") -> list[Explanation]:
    """Return what there is to explain of a text that is generated; ``view`` has the odds on show."""
    found = [] if view is None else [explain_odds(view), explain_surprise(view)]
    found += [explain_temperature(settings), explain_top_k(settings, view), explain_top_p(settings, view)]
    found += [explain_min_p(settings, view), explain_seed(settings)]
    return [explanation for explanation in found if explanation is not None]


def explain_odds(view: "NextCharacterView") -> Explanation:
    """Explain the odds of a letter."""
    first = view.choices[0]
    text = (
        "Before each letter the model gives every letter it knows a probability, and the temperature sharpens or "
        f'flattens them. Here the likeliest is "{character_name(first.character)}" with '
        f"{percent(first.uncut_probability)}."
    )
    if view.cut:
        text += f" Top-k, top-p and min-p have cut letters that had {percent(view.cut)} together."
    left = "What is left" if view.cut else "This"
    text += (
        f" {left} is as uncertain as a choice among {2**view.entropy:.1f} equally likely letters, which is "
        f"{view.entropy:.1f} bits; "
    )
    stands = view.drawn_choice
    if view.position is None or stands is None:
        text += "one letter is drawn from it at random, by the odds."
    else:
        text += (
            f'from it "{character_name(stands.character)}" was drawn, which had '
            f"{percent(stands.uncut_probability)}. Enter on another one begins a branch: the text goes on from that "
            "letter, and this one stays."
        )
    return Explanation("odds", "The odds", text)


def explain_surprise(view: "NextCharacterView") -> Explanation | None:
    """Explain the surprise of the letter that was drawn last, or of the one that was walked back to."""
    if view.drawn_choice is None or view.drawn_choice.uncut_probability <= 0:
        return None
    share, name = view.drawn_choice.uncut_probability, character_name(view.drawn_choice.character)
    which = "The letter drawn last" if view.position is None else "The letter you have walked to"
    rank = f", number {view.rank:,} in the order of likelihood" if view.rank else ""
    return Explanation(
        "surprise",
        "Surprise",
        f'{which}, "{name}", had a probability of {percent(share)}{rank}. Its surprise is '
        f"{-math.log2(share):.1f} bits: a letter of 50 % has 1 bit, one of 25 % has 2, one that is certain has none. "
        "The tint colours letters by their surprise at temperature 1. "
        'Words begin with surprise and end without: after "Rome", an "o" is '
        "hardly news.",
    )


def explain_temperature(settings: SamplingConfig) -> Explanation:
    """Explain the temperature, by what it does to a letter that is twice as likely as another."""
    value = settings.temperature
    if not value:
        now = "At 0 the likeliest letter is always taken, and the same opening gives the same text every time."
    else:
        now = (
            f"At {value:.2f}, a letter that the model finds twice as likely as another is drawn "
            f"{2 ** (1 / value):.1f} times as often."
        )
    return Explanation(
        "temperature",
        "Temperature",
        f"Temperature sharpens or flattens the odds before a letter is drawn. {now} At 1 the odds are the model's own; "
        "below 1 it plays safe and soon repeats itself, above 1 it takes risks and misspells. It adds no knowledge: "
        "the order of the letters stays the same.",
    )


def explain_top_k(settings: SamplingConfig, view: "NextCharacterView | None") -> Explanation:
    """Explain top-k."""
    now = (
        "It is off: every letter may come."
        if settings.top_k is None
        else f"Now {plural(settings.top_k, 'letter')} may come, however likely the others are."
    )
    return Explanation(
        "top_k",
        "Top-k",
        f"Top-k keeps the k likeliest letters and drops the rest, then shares out the odds anew. {now}{_cut(view)} It "
        "is blunt: where one letter is certain k still lets others in, and where forty are possible it shuts some out.",
    )


def explain_top_p(settings: SamplingConfig, view: "NextCharacterView | None") -> Explanation:
    """Explain top-p."""
    now = (
        "At 1.00 it is off."
        if settings.top_p >= 1
        else f"At {settings.top_p:.2f} the likeliest letters stay that together reach {percent(settings.top_p)}."
    )
    return Explanation(
        "top_p",
        "Top-p",
        f"Top-p keeps the fewest letters that together are likely enough, and drops the tail. {now}{_cut(view)} Where "
        "the model is sure, one letter may be enough; where it is not, dozens stay: it follows the model's own doubt.",
    )


def explain_min_p(settings: SamplingConfig, view: "NextCharacterView | None") -> Explanation:
    """Explain min-p, with the bar that it sets for the letter on show."""
    now = "At 0.00 it is off."
    if settings.min_p:
        now = (
            f"At {settings.min_p:.2f} a letter needs {percent(settings.min_p)} of the probability of the likeliest one."
        )
        if view is not None and view.choices:
            top = view.choices[0].uncut_probability
            now += f" Here the likeliest has {percent(top)}, so the bar is {percent(top * settings.min_p)}."
    return Explanation(
        "min_p",
        "Min-p",
        f"Min-p drops letters that are much less likely than the likeliest. {now} The bar is high where the model is "
        "sure and low where it is not, so it cuts nonsense without making the text dull.",
    )


def explain_seed(settings: SamplingConfig) -> Explanation:
    """Explain the seed."""
    return Explanation(
        "seed",
        "Seed",
        f"Letters are drawn with random numbers, and the seed, now {settings.seed:,}, fixes all of them. The "
        f"same model, "
        "opening, knobs and seed write the same text again, letter for letter. So when a knob is turned and the text "
        "begins anew with the same seed, what differs is the knob's doing.",
    )


def _cut(view: "NextCharacterView | None") -> str:
    """Return what all cuts together have removed from the odds on show."""
    if view is None:
        return ""
    return f" From the odds on show, all cuts together take {percent(view.cut)}." if view.cut else ""
