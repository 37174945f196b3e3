"""The keys of the generation screen: single plain ones, which work on any keyboard and over any link.

While a text field has the focus, it takes them all. Users' keymaps name the ids.
"""

from textual.binding import Binding

from shakegpt.tui.generation.knobs import KNOBS

SCENE_ACTIONS = frozenset({"cast", "replay", "rewind"})
"""Actions that are offered in a scene only."""


def _key(identity: str, key: str, action: str, name: str, tooltip: str, *, show: bool = False) -> Binding:
    display = {"space": "space", "full_stop": "."}.get(key)
    return Binding(key, action, name, show=show, key_display=display, tooltip=tooltip, id=f"generation.{identity}")


def _knob_keys() -> list[Binding]:
    return [
        _key(
            f"{knob.field}_{way}",
            key,
            f"turn('{knob.field}', {clicks})",
            f"{knob.label} {way}",
            f"Turn {knob.label} {way}, from the next character on",
        )
        for knob in KNOBS
        for key, clicks, way in ((knob.key, -1, "down"), (knob.key.upper(), 1, "up"))
    ]


BINDINGS: list[Binding] = [
    _key("speak", "enter", "generate", "Speak", "Generate, or go on; in a scene, write your line", show=True),
    _key("toggle_speaking", "space", "toggle_generation", "Stop", "Pause, keeping the text; or go on", show=True),
    _key("edit", "i", "edit", "Prompt", "Write in the prompt; Esc leaves it", show=True),
    _key("again", "r", "again", "Again", "Generate again from the same prompt with the same seed", show=True),
    _key("anew", "n", "new_seed", "New", "Generate again with a new seed", show=True),
    _key("choose_model", "o", "choose_model", "Model", "Choose a checkpoint, or the live weights", show=True),
    _key("scene", "s", "scene", "Scene", "Play a scene with the model, or leave it", show=True),
    _key("duel", "d", "duel", "Duel", "Two texts side by side from one prompt and seed, or one again", show=True),
    _key("next_character", "x", "show_next", "Next", "Show the next character's distribution, or hide it", show=True),
    _key("freeze", "f", "freeze", "Freeze", "Pause, and pick characters by hand; again to let go"),
    _key("draw_one", "full_stop", "step", "One character", "Draw one character and pause"),
    _key("tint", "u", "tint", "Surprise", "Colour each character by how surprising it was, or not"),
    _key("voice_1", "v", "preset(1)", "Voice", "The next sampling preset: greedy, careful, balanced, wild"),
    _key("voice_back", "V", "preset(-1)", "Voice back", "The sampling preset before"),
    _key("reset", "0", "reset", "Reset", "Put all knobs back to where they began"),
    _key("pace", "z", "speed", "Pace", "As fast as the model is, at 100 characters a second, or at reading speed"),
    _key("copy", "c", "copy", "Copy", "Copy the text through the terminal (OSC 52)"),
    _key("write", "w", "save", "Save", "Save the text to a file, and say where"),
    _key("clear", "X", "clear", "Clear", "Clear the page"),
    _key("cast", "a", "cast", "Cast", "Choose the two parts of the scene, or go on with a saved one"),
    _key("replay", "R", "replay", "Replay", "Play again from the marked speech: your lines, new answers"),
    _key("rewind", "backspace", "rewind", "Rewind", "Rewind the scene to the marked speech, or by one speech"),
    _key("sideways_back", "left", "select(-1)", "Left", "In a duel, the left text; in a scene, the speech before"),
    _key("sideways_1", "right", "select(1)", "Right", "In a duel, the right text; in a scene, the speech after"),
    *_knob_keys(),
]
