"""The keys that work on every screen."""

from textual.binding import Binding

from shakegpt.tui.widgets.top_bar import SCREEN_NAMES

_SCREENS = {
    "training": "Train a model and watch it learn",
    "generation": "Generate text",
    "checkpoints": "See the runs and their checkpoints",
    "inspect": "Look inside the model",
}

BINDINGS: list[Binding] = [
    *(
        Binding(
            str(key),
            f"switch_mode('{mode}')",
            name,
            id=f"app.{mode}",
            tooltip=_SCREENS[mode],
            show=False,
        )
        for key, (mode, name) in enumerate(SCREEN_NAMES.items(), 1)
    ),
    Binding(
        "question_mark,f1",
        "help",
        "Help",
        id="app.help",
        tooltip="Show the keys of this screen (F1 while you type in a field)",
    ),
    Binding(
        "e",
        "explain",
        "Explain",
        id="app.explain",
        tooltip="Explain what is on the screen",
        show=False,
    ),
    Binding("ctrl+p", "command_palette", "All actions", id="app.palette", tooltip="Find any action by its name"),
    Binding("ctrl+q", "quit", "Quit", id="app.quit", tooltip="Quit; asks first while a run trains", priority=True),
]
