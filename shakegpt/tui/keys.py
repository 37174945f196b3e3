"""Every key of the app by the id that ``config.toml`` rebinds it under."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module

from textual.binding import Binding
from textual.dom import DOMNode

import shakegpt.tui


def known_bindings() -> dict[str, Binding]:
    """Return the app's own bindings that have an id, those of every screen and widget, by id."""
    for module in pkgutil.walk_packages(shakegpt.tui.__path__, "shakegpt.tui."):
        import_module(module.name)
    found: dict[str, Binding] = {}
    for kind in _kinds(DOMNode):
        if kind.__module__.startswith("shakegpt.tui."):
            for binding in Binding.make_bindings(kind.__dict__.get("BINDINGS", ())):
                if binding.id is not None:
                    first = found.get(binding.id)
                    keys = binding.key if first is None or binding.key == first.key else f"{first.key},{binding.key}"
                    found[binding.id] = binding.with_key(keys)
    return dict(sorted(found.items()))


def _kinds(kind: type[DOMNode]) -> Iterator[type[DOMNode]]:
    for below in kind.__subclasses__():
        yield below
        yield from _kinds(below)
