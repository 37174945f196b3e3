"""What the app does while its user reads the first screen."""

import gc
import sys
from pathlib import Path

from shakegpt.runs.trash import empty_abandoned_trash


def prepare(runs_folder: Path) -> None:
    """Empty the trash of apps that were killed, and import torch. For a thread of its own."""
    empty_abandoned_trash(runs_folder)
    first = "torch" not in sys.modules
    import shakegpt.generation.stream  # noqa: F401  (for its side effect)
    from shakegpt.system.threads import configure_process

    configure_process()
    if first:
        # Else each full collection looks through all of torch again, and a key waits for it for a tenth of a second.
        gc.freeze()
