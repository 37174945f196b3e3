"""The keys of the generation screen: single plain ones, which work on any keyboard and over any link.

While a text field has the focus, it takes them all.
"""

from textual.binding import Binding

from shakegpt.tui.generation.knobs import KNOBS


def _key(key: str, action: str, name: str, tooltip: str, *, shown: bool = False, display: str | None = None) -> Binding:
    identity = action.replace("('", "_").replace("')", "").replace("(", "_").replace(")", "").replace("-1", "back")
    return Binding(key, action, name, show=shown, key_display=display, tooltip=tooltip, id=f"generation.{identity}")


def _knob_keys() -> list[Binding]:
    keys: list[Binding] = []
    for knob in KNOBS:
        for key, clicks, way in ((knob.key, -1, "down"), (knob.key.upper(), 1, "up")):
            keys.append(
                Binding(
                    key,
                    f"turn('{knob.field}', {clicks})",
                    f"{knob.label} {way}",
                    show=False,
                    tooltip=f"Turn {knob.label} {way}, from the next character on",
                    id=f"generation.{knob.field}_{way}",
                )
            )
    return keys


BINDINGS: list[Binding] = [
    _key("enter", "speak", "Speak", "Speak from the prompt, or go on; in a scene, write your line", shown=True),
    _key("space", "toggle_speaking", "Stop", "Fall silent, keeping the text; or go on", shown=True, display="space"),
    _key("i", "edit", "Prompt", "Write in the prompt; Esc leaves it", shown=True),
    _key("r", "again", "Again", "Speak again from the same prompt with the same seed", shown=True),
    _key("n", "anew", "New", "Speak again with a new seed", shown=True),
    _key(
        "o",
        "choose_model",
        "Model",
        "Choose who speaks: the live weights, a checkpoint, the pretrained model",
        shown=True,
    ),
    _key("s", "scene", "Scene", "Play a scene with the model, or leave it", shown=True),
    _key("d", "duel", "Duel", "Two voices side by side from one prompt and seed, or one again", shown=True),
    _key("x", "next_character", "Next", "Show what the next character is drawn from, or hide it", shown=True),
    _key("f", "freeze", "Freeze", "Stop, and pick characters by hand; again to let go"),
    _key("full_stop", "draw_one", "One character", "Draw one character and stop", display="."),
    _key("u", "tint", "Surprise", "Colour each character by how surprising it was, or not"),
    _key("v", "voice(1)", "Voice", "Next voice: greedy, careful, balanced, wild"),
    _key("V", "voice(-1)", "Voice back", "The voice before"),
    _key("0", "reset", "Reset", "Put all knobs back to where they began"),
    _key("z", "pace", "Pace", "As fast as it goes, at 100 characters a second, or at reading pace"),
    _key("c", "copy", "Copy", "Copy the text through the terminal (OSC 52)"),
    _key("w", "write", "Save", "Save the text to a file, and say where"),
    _key("X", "clear", "Clear", "Clear the page"),
    _key("a", "cast", "Cast", "Choose the two parts of the scene, or go on with a saved one"),
    _key("R", "replay", "Replay", "Play the scene again from the marked speech: your lines, new answers"),
    _key("backspace", "rewind", "Rewind", "Rewind the scene to the marked speech, or by one speech"),
    _key("left", "sideways(-1)", "Left", "In a duel, the left voice; in a scene, the speech before"),
    _key("right", "sideways(1)", "Right", "In a duel, the right voice; in a scene, the speech after"),
    *_knob_keys(),
]
SCENE_ONLY = frozenset({"cast", "replay", "rewind"})
"""Actions that mean nothing outside a scene."""
