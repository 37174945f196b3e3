"""The demo: the smallest preset on the play that ships, and how long that takes on this machine."""

from collections.abc import Mapping

from shakegpt.data.catalog import DEMO
from shakegpt.runs.speed import Speed
from shakegpt.tui.training.run_form import DEFAULTS, Machine, plan

DEMO_PRESET = "nano"
USUAL_TIME = "20 seconds"
"""About how long it takes on an ordinary laptop."""


def demo_time(speeds: Mapping[str, Speed]) -> str | None:
    """Return such as ``about 9 s here``; ``None`` where this machine has not trained the demo's preset before."""
    if DEMO_PRESET not in speeds:
        return None
    return plan({**DEFAULTS, "preset": DEMO_PRESET, "corpus": DEMO}, DEMO_PRESET, Machine(speeds=speeds)).time
