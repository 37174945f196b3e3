"""The app's own themes, dark and light."""

from textual.theme import Theme

DARK = Theme(
    name="shakegpt",
    primary="#d9a441",  # gold: what is chosen, and training curves
    secondary="#7fb3a6",  # green: validation curves
    accent="#e07a5f",  # red: one thing at a time, such as a cursor
    foreground="#e8e0d0",
    background="#12100e",
    surface="#1b1815",
    panel="#262119",
    success="#8fb573",
    warning="#e0b050",
    error="#d9534f",
    dark=True,
    variables={
        "border": "#5c5140",
        "border-blurred": "#3a3328",
        "footer-background": "#1b1815",
        "footer-key-foreground": "#d9a441",
        "footer-description-foreground": "#a89c86",
        "scrollbar": "#3a3328",
        "scrollbar-hover": "#5c5140",
        "scrollbar-active": "#d9a441",
        "scrollbar-background": "#1b1815",
        "scrollbar-background-hover": "#1b1815",
        "scrollbar-background-active": "#1b1815",
        "scrollbar-corner-color": "#12100e",
        "block-cursor-background": "#d9a441",
        "block-cursor-foreground": "#12100e",
        "block-cursor-text-style": "none",
        "input-selection-background": "#d9a441 30%",
    },
)

LIGHT = Theme(
    name="shakegpt-paper",
    primary="#8a5a00",
    secondary="#2b6f62",
    accent="#a63a22",
    foreground="#2a241b",
    background="#f6f0e2",
    surface="#efe7d4",
    panel="#e5dac2",
    success="#47702c",
    warning="#8f6400",
    error="#a8201a",
    dark=False,
    variables={
        "border": "#b3a27e",
        "border-blurred": "#d3c6a8",
        "footer-background": "#e5dac2",
        "footer-key-foreground": "#8a5a00",
        "footer-description-foreground": "#6b5f49",
        "scrollbar": "#cbbb96",
        "scrollbar-hover": "#b3a27e",
        "scrollbar-active": "#8a5a00",
        "scrollbar-background": "#efe7d4",
        "scrollbar-background-hover": "#efe7d4",
        "scrollbar-background-active": "#efe7d4",
        "scrollbar-corner-color": "#f6f0e2",
        "block-cursor-background": "#8a5a00",
        "block-cursor-foreground": "#f6f0e2",
        "block-cursor-text-style": "none",
    },
)

THEMES = (DARK, LIGHT)

RUN_COLOURS = ("$primary", "$secondary", "$accent", "$success", "$error", "$foreground")
"""The colours of runs that are drawn together, in their order; after the last comes the first again."""


def run_colour_rules(selector: str) -> str:
    """Return the style rules of ``RUN_COLOURS``, each for ``selector`` with the number of its colour."""
    return "\n".join(f"{selector}{number} {{ color: {colour}; }}" for number, colour in enumerate(RUN_COLOURS))
