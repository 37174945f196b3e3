"""What stands in the border of a text: its model, and what its colours mean."""

from shakegpt.inspection.head import WITHOUT_HEAD
from shakegpt.runs.store import PRETRAINED
from shakegpt.tui.generation.model_loader import DEFAULT_MODEL
from shakegpt.tui.messages import LIVE

LEGEND = "[$text-muted]sure[/] · [$secondary]fair[/] · [bold $warning]unsure[/] · [bold underline $error]surprised[/]"
"""What the colours of surprise mean."""
LEGEND_WIDTH = 38
"""The width from which on it fits into the border."""


def model_titles(name: str, behind: int | None = None) -> list[str]:
    """Return what a text of this model is headed with, the longest first.

    Args:
        name: the model's name or reference, such as ``pretrained``, ``macbeth@500`` or ``macbeth (live)``.
        behind: how many steps its run has trained since.
    """
    whole, without, heads = name.partition(WITHOUT_HEAD)
    if without:
        return [f"{title} ·{without}{heads}" for title in model_titles(whole, behind)]
    if name in (DEFAULT_MODEL, PRETRAINED):
        return [
            "A tiny GPT improvises Shakespeare, one letter at a time",
            "A tiny GPT improvises Shakespeare",
            "Shakespeare, improvised",
            "Shakespeare",
        ]
    if name == LIVE or name.endswith("(live)"):
        run = name.removesuffix("(live)").strip() if name != LIVE else "The run in training"
        return [f"{run} improvises, with the weights it has at this moment", f"{run}, live weights", "Live weights"]
    run, at, step = name.partition("@")
    model = f"{run}, checkpoint {int(step):,}" if step.isdecimal() else f"{run}{at}{step}"
    if behind:
        return [f"{model}, {behind:,} step{'s' * (behind != 1)} behind", model, run]
    return [f"{model}, improvises one letter at a time", model, run]
