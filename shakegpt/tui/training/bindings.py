"""The keys of the training screen, in the groups of its footer and its help."""

from textual.binding import Binding

_ALL = 1_000_000  # more samples than any run has
_RUN = Binding.Group("The run")
_LOOK = Binding.Group("Look closer")


def _key(
    name: str,
    key: str,
    action: str,
    label: str,
    help_: str,
    *,
    group: Binding.Group,
    shown: str | None = None,
    show: bool = True,
) -> Binding:
    return Binding(key, action, label, id=name, tooltip=help_, group=group, key_display=shown, show=show)


BINDINGS: tuple[Binding, ...] = (
    _key(
        "training.demo", "enter", "demo", "Train the demo", group=_RUN, shown="⏎",
        help_="Train a tiny model on the play that comes with shakegpt",
    ),
    _key(
        "training.generate", "enter", "generate", "Listen", group=_RUN, shown="⏎",
        help_="Hear this run: generate text with its weights as they are now",
    ),
    _key("training.pause", "space", "pause", "Pause", "Pause after this step", group=_RUN),
    _key("training.resume", "space", "resume", "Go on", "Go on training after a pause", group=_RUN),
    _key("training.go-on", "r", "continue_run", "Resume", "Resume this run from its last checkpoint", group=_RUN),
    _key("training.save", "w", "save", "Save", "Write a checkpoint now", group=_RUN),
    _key("training.new-run", "n", "new_run", "New run", "Choose what to train, and start", group=_RUN),
    _key("training.stop", "X", "stop", "Stop", "Save the run and end it; asks first", group=_RUN),
    _key("training.zoom", "z", "zoom", "Chart", "Open the chart of the chosen panel, or of the loss", group=_LOOK),
    _key("training.older", "left,h", "sample(-1)", "Samples", "Show an older or a newer sample; h and l do too",
         group=_LOOK, shown="←→"),
    _key("training.newer", "right,l", "sample(1)", "Newer", "Show a newer sample", group=_LOOK, show=False),
    _key("samples.up", "up,k", "scroll_sample(-1)", "Up", "Scroll the sample up", group=_LOOK, show=False),
    _key("samples.down", "down,j", "scroll_sample(1)", "Down", "Scroll the sample down", group=_LOOK, show=False),
    _key("training.first", "g,home", f"sample(-{_ALL})", "First", "Show the first sample", group=_LOOK, show=False),
    _key(
        "training.last", "G,end", f"sample({_ALL})", "Newest", group=_LOOK, show=False,
        help_="Show the newest sample, and each new one as it comes",
    ),
    _key("training.copy", "y", "copy", "Copy", "Copy the sample on show", group=_LOOK),
    _key("training.hide", "escape", "hide_notice", "Hide", "Hide the warning", group=_LOOK, show=False),
)  # fmt: skip
