"""The keys of the generation screen: single plain ones, which work on any keyboard and over any link.

While a text field has the focus, it takes them all. Users' keymaps name the ids. A key means the same on all screens.
"""

from textual.binding import Binding

from shakegpt.tui.generation.knobs import KNOBS

SCENE_ACTIONS = frozenset({"cast", "replay", "rewind"})
"""Actions that are offered in a scene only."""
NO_SCENE_ACTIONS = frozenset({"again", "duel", "freeze", "step", "walk_branches"})
"""Actions that are not offered in a scene."""

_SPEAK = Binding.Group("Speak")
_WATCH = Binding.Group("Watch it choose")
_KNOBS = Binding.Group("Turn the knobs")
_KEEP = Binding.Group("Keep the text")


def _key(
    identity: str, key: str, action: str, name: str, tooltip: str, group: Binding.Group, *, show: bool = False
) -> Binding:
    return Binding(key, action, name, show=show, tooltip=tooltip, id=f"generation.{identity}", group=group)


def _shown(identity: str, key: str, action: str, name: str, tooltip: str, group: Binding.Group) -> Binding:
    """Return a binding that stands in the footer."""
    return _key(identity, key, action, name, tooltip, group, show=True)


def _knob_keys() -> list[Binding]:
    return [
        _key(f"{knob.field}_{way}", key, f"turn('{knob.field}', {clicks})", f"{knob.label} {way}", sentence, _KNOBS)
        for knob in KNOBS
        for key, clicks, way, sentence in (
            (knob.down_key, -1, "down", knob.down),
            (knob.up_key, 1, "up", knob.up),
        )
    ]


BINDINGS: list[Binding] = [
    _shown("speak", "enter", "generate", "Speak", "Speak, or go on; in a scene, write your line", _SPEAK),
    _shown("toggle_speaking", "space", "toggle_generation", "Stop", "Stop, keeping the text; or go on", _SPEAK),
    _shown("edit", "i", "edit", "Prompt", "Write the opening line; Esc leaves it", _SPEAK),
    _shown("anew", "n", "new_seed", "New", "A new text, with a new seed", _SPEAK),
    _shown("voice_1", "v", "preset(1)", "Preset", "The next preset: greedy, careful, balanced, wild", _SPEAK),
    _shown("scene", "s", "scene", "Scene", "Play a scene with the model, or leave it", _SPEAK),
    _shown("duel", "d", "duel", "Duel", "Two texts side by side from one opening and seed, or one again", _SPEAK),
    _shown("next_character", "x", "show_next", "Odds", "Show the odds of the next letter, or hide them", _WATCH),
    _shown("tint", "u", "tint", "Tint", "Colour each letter by how surprising it was, or not", _WATCH),
    _shown(
        "freeze",
        "f",
        "freeze",
        "Freeze",
        "Stop, and pick letters by hand, here or further back (←); again to let go",
        _WATCH,
    ),
    _key("draw_one", "full_stop", "step", "One letter", "Draw one letter and stop", _WATCH),
    _key(
        "branch_before", "left_square_bracket", "walk_branches(-1)", "Branch before", "Show the branch before", _WATCH
    ),
    _key("branch_next", "right_square_bracket", "walk_branches(1)", "Next branch", "Show the next branch", _WATCH),
    *_knob_keys(),
    _key("voice_back", "V", "preset(-1)", "Preset before", "The preset before", _KNOBS),
    _key("reset", "0", "reset", "Reset", "Put all knobs back to where they began", _KNOBS),
    _key("again", "a", "again", "Again", "The same text again: same opening, same seed", _SPEAK),
    _key(
        "replay",
        "a",
        "replay",
        "Again",
        "A new answer; with a marked speech, the scene from there with your lines",
        _SPEAK,
    ),
    _key("pace", "F", "speed", "Speed", "40 letters a second, as fast as it goes, or slowly", _KNOBS),
    _key(
        "choose_model",
        "c",
        "choose_model",
        "Model",
        "Choose the model: a checkpoint, or the weights in training",
        _SPEAK,
    ),
    _key("cast", "C", "cast", "Cast", "Choose the two parts of the scene, or go on with a saved one", _SPEAK),
    _key("rewind", "backspace", "rewind", "Rewind", "Drop what follows the marked speech, or the last speech", _SPEAK),
    _key(
        "sideways_back",
        "left,h",
        "select(-1)",
        "Left",
        "In a duel, the left text; in a scene, the speech before",
        _SPEAK,
    ),
    _key(
        "sideways_1", "right,l", "select(1)", "Right", "In a duel, the right text; in a scene, the speech after", _SPEAK
    ),
    _key("copy", "y", "copy", "Copy", "Copy the text through the terminal (OSC 52)", _KEEP),
    _key(
        "write", "w", "save", "Save", "Save the text to a file, and say where; of several branches, one or all", _KEEP
    ),
    _key("clear", "ctrl+l", "clear", "Clear", "Clear the page", _KEEP),
]
