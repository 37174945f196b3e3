"""What a training notes of its attention heads at each evaluation: how much each looks at the character before."""

import numpy as np

from shakegpt.events import Inspection
from shakegpt.inspection.heads import score_previous
from shakegpt.model.language_model import LanguageModel

_MOST_WINDOWS = 4
_CHARACTERS = 512
"""About how many are read: enough to tell heads apart, and well below a hundredth of the training time."""


def inspect_heads(language_model: LanguageModel, text: str, step: int) -> Inspection | None:
    """Measure the heads on the beginning of a text; draws nothing at random and changes nothing.

    Returns:
        The event; ``None`` where the text is shorter than a window, the window has no character before another, or the
        weights are not finite.
    """
    size = language_model.model.config.block_size
    if size < 2 or len(text) < size:
        return None
    windows = min(_MOST_WINDOWS, max(1, _CHARACTERS // size), len(text) // size)
    scores = score_previous(language_model, text, windows=windows)
    if not np.isfinite(scores).all():
        return None
    return Inspection(
        step=step,
        previous_character=tuple(tuple(round(share, 4) for share in block) for block in scores.tolist()),
        characters=windows * size,
    )
