"""What the generation screen speaks, as the screen sees it that looks inside the model meanwhile."""

from shakegpt.tui.generation.controls_screen import ControlsScreen
from shakegpt.tui.generation.text_pane import TextPane


class GenerationSpeech:
    """The text on show, and its model; a ``Speech``."""

    def __init__(self, screen: ControlsScreen) -> None:
        self._screen = screen
        self.held: list[TextPane] = []
        """What was stopped by leaving the screen; it goes on when the screen is back."""

    @property
    def text(self) -> str:
        """See ``Speech``."""
        return self._screen.pane.current.text

    @property
    def reference(self) -> str:
        """See ``Speech``."""
        return self._screen.pane.current.reference

    @property
    def speaking(self) -> bool:
        """See ``Speech``."""
        return any(text.busy for text in self._screen.pane.texts)

    def toggle(self) -> None:
        """See ``Speech``."""
        if self.speaking:
            self._screen.pane.pause()
        elif self.held:
            self.let_go()
        else:
            for text in self._screen.pane.texts:
                text.resume()

    def hold(self) -> None:
        """See ``Speech``."""
        busy = [text for text in self._screen.query(TextPane) if text.busy and text not in self.held]
        self.held = [*self.held, *busy]  # what was held already is not busy, and still goes on later
        for text in busy:
            text.pause()

    def let_go(self) -> None:
        """See ``Speech``."""
        for text in self.held:
            text.resume(extend=False)  # it may have come to its end before it stopped
        self.held = []

    def use_muted_heads(self) -> None:
        """See ``Speech``; a scene's next answer does without them."""
        for text in (self._screen.left, self._screen.right):
            text.renew_model()
