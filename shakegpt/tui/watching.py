"""An app that may only watch: it is shown in a browser, where whoever opens the page presses the keys."""

from collections.abc import Mapping

from textual.actions import ActionParseResult
from textual.app import App
from textual.dom import DOMNode

_LOOK = {"zoom", "sample", "scroll_sample", "copy", "hide_notice"}
_DRAW = {"quantity", "axis", "logarithm", "smoothing", "colour"}
_CHART = {"close", "move", "move_to", "zoom_values", "pan", "fit"} | _DRAW
_APP = {"help", "pop_screen", "redraw", "quit", "scroll"}
_TEXTUAL = {
    *(f"scroll_{where}" for where in ("up", "down", "left", "right", "home", "end")),
    *(f"page_{where}" for where in ("up", "down", "left", "right")),
    *("focus", "focus_next", "focus_previous"),
}
WATCHING_ACTIONS = frozenset(_LOOK | _CHART | _APP | _TEXTUAL)
"""Actions that change nothing on this machine, and start no work on it."""


class WatchingApp(App[str]):
    """An app that does no more than ``WATCHING_ACTIONS`` where it may only watch."""

    only_watch = False

    def _check_action_state(self, action: str, default_namespace: DOMNode) -> bool | None:
        """Leave what is not done out of footers and help."""
        if self.only_watch and self._parse_action(action, default_namespace)[1] not in WATCHING_ACTIONS:
            return False
        return super()._check_action_state(action, default_namespace)

    async def run_action(
        self,
        action: "str | ActionParseResult",
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Perform an action that may be performed; return whether it was."""
        if self.only_watch:
            _, name, _ = self._parse_action(action, default_namespace or self, namespaces)
            if name not in WATCHING_ACTIONS:
                return False
        return await super().run_action(action, default_namespace, namespaces)
