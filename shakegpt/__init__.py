"""Train a GPT from scratch in a terminal, watch it learn, and hear it speak Shakespeare.

From Python::

    import shakegpt

    model = shakegpt.load("pretrained")
    print(model.generate("ROMEO:", length=200))
    print(model.evaluate("tiny-shakespeare").perplexity)

Importing the package is cheap; torch is imported when one of these is first used.
"""

from typing import TYPE_CHECKING

from shakegpt.version import __version__

if TYPE_CHECKING:
    from shakegpt.api import Model, SamplingOptions, Training, TrainingOptions, load, train
    from shakegpt.errors import ShakegptError
    from shakegpt.evaluation.loss import Loss

__all__ = [
    "Loss",
    "Model",
    "SamplingOptions",
    "ShakegptError",
    "Training",
    "TrainingOptions",
    "__version__",
    "load",
    "train",
]


def __getattr__(name: str) -> object:
    """Import a public name from its module on first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'shakegpt' has no attribute {name!r}")
    from importlib import import_module

    elsewhere = {"ShakegptError": "shakegpt.errors", "Loss": "shakegpt.evaluation.loss"}
    value: object = getattr(import_module(elsewhere.get(name, "shakegpt.api")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
