"""The keys of the chart, in the groups of its footer and its help."""

from textual.binding import Binding

_FAR = 10  # columns
_DRAW = Binding.Group("What is drawn")
_MOVE = Binding.Group("The cursor")
_VIEW = Binding.Group("The part on show")


def _key(
    name: str,
    key: str,
    action: str,
    label: str,
    help_: str,
    *,
    group: Binding.Group,
    shown: str | None = None,
    show: bool = False,
) -> Binding:
    return Binding(
        key, action, label, id=f"chart.{name}", tooltip=help_, group=group, key_display=shown, show=show or bool(shown)
    )


BINDINGS: tuple[Binding, ...] = (
    _key("close", "escape,z", "close", "Back", "Close the chart", group=_DRAW, shown="esc"),
    _key("quantity", "tab", "quantity", "Curve", "Draw the loss, the perplexity or the learning rate", group=_DRAW,
         shown="tab"),
    _key("axis", "b", "axis", "By", "Draw by step, by time or by characters read", group=_DRAW, show=True),
    _key("logarithm", "L", "logarithm", "Log", "Draw the values on a logarithmic axis, or not", group=_DRAW, show=True),
    _key("smoothing", "S", "smoothing", "Smooth", "Smooth the curve lightly, heavily or not at all", group=_DRAW,
         show=True),
    _key("colour", "C", "colour", "Colour by", "Colour the runs by what differs",
         group=_DRAW, show=True),
    _key("left", "left,h", "move(-1)", "Cursor", "Move the cursor left or right; h and l do too", group=_MOVE,
         shown="←→"),
    _key("right", "right,l", "move(1)", "Right", "Move the cursor right", group=_MOVE),
    _key("far-left", "pageup", f"move(-{_FAR})", "Far left", "Move the cursor far left", group=_MOVE),
    _key("far-right", "pagedown", f"move({_FAR})", "Far right", "Move the cursor far right", group=_MOVE),
    _key("start", "g,home", "move_to(0)", "Start", "Move the cursor to the first point", group=_MOVE),
    _key("end", "G,end", "move_to(1)", "End", "Move the cursor to the last point", group=_MOVE),
    _key("copy", "y", "copy", "Copy", "Copy the values at the cursor", group=_MOVE, show=True),
    _key("in", "plus,equals_sign", "zoom(1)", "Zoom", "Zoom in and out, around the cursor", group=_VIEW, shown="+-"),
    _key("out", "minus", "zoom(-1)", "Zoom out", "Zoom out", group=_VIEW),
    _key("taller", "up,k", "zoom_values(1)", "Taller", "Make the curve taller", group=_VIEW),
    _key("flatter", "down,j", "zoom_values(-1)", "Flatter", "Make the curve flatter", group=_VIEW),
    _key("pan-left", "shift+left", "pan(-1, 0)", "Pan", "Move the view left or right", group=_VIEW, shown="shift+←→"),
    _key("pan-right", "shift+right", "pan(1, 0)", "Pan right", "Move the view right", group=_VIEW),
    _key("pan-up", "shift+up", "pan(0, 1)", "Pan up", "Move the view up", group=_VIEW),
    _key("pan-down", "shift+down", "pan(0, -1)", "Pan down", "Move the view down", group=_VIEW),
    _key("fit", "0", "fit", "Fit", "Show the whole curve again", group=_VIEW, show=True),
)  # fmt: skip
