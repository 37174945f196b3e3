"""The keys of the inspect screen, in the groups of its footer and its help."""

from textual.binding import Binding

_LOOK = Binding.Group("Look")
_CHANGE = Binding.Group("Change")


def _key(
    identity: str, key: str, action: str, name: str, tooltip: str, group: Binding.Group, shown: str = ""
) -> Binding:
    return Binding(
        key, action, name, show=shown != "-", tooltip=tooltip, id=f"inspect.{identity}", group=group,
        key_display=shown if shown not in ("", "-") else None,
    )  # fmt: skip


BINDINGS: tuple[Binding, ...] = (
    _key("earlier", "left,h", "move(-1)", "Letter", "Mark the letter before, or after", _LOOK, "←→"),
    _key(
        "later", "right,l", "move(1)", "Later", "Mark the letter after; at the end, follow the text again", _LOOK, "-"
    ),
    _key("head_before", "up,k", "turn(-1)", "Head", "Mark the head before, or after", _LOOK, "↑↓"),
    _key("head_after", "down,j", "turn(1)", "Head after", "Mark the next head", _LOOK, "-"),
    _key("mean", "A", "mean", "All heads", "The mean over the heads of the block, or one head again", _LOOK),
    _key(
        "mute", "M", "mute", "Mute", "Do without the marked head, here and where text is generated; or with it", _CHANGE
    ),
    _key("unmute", "U", "unmute", "Unmute all", "Use all heads again", _CHANGE, "-"),
    _key("edit", "i", "edit", "Text", "Write a text of your own; an empty one goes back to what is generated", _CHANGE),
    _key("source", "N", "source", "Next text", "The text that is generated, the newest sample, or your own", _CHANGE),
    _key(
        "choose_model",
        "c",
        "choose_model",
        "Model",
        "Choose the model: a checkpoint, or the weights in training",
        _CHANGE,
    ),
    _key("toggle_speaking", "space", "toggle_speaking", "Stop", "Stop the text that is generated, or go on", _CHANGE),
    _key("first", "g,home", "first", "First", "Mark the first letter", _LOOK, "-"),
    _key("last", "G,end", "last", "Newest", "Mark the newest letter, and each new one as it comes", _LOOK, "-"),
)
