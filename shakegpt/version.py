"""The version of shakegpt, and of what a run's exact numbers depend on."""

import platform

__version__ = "0.1.0"


def versions() -> dict[str, str]:
    """Return the versions that a run's exact numbers depend on."""
    import torch  # imported here, as `--version` must not wait for torch

    return {"shakegpt": __version__, "torch": torch.__version__, "python": platform.python_version()}
