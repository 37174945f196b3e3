"""The app's own themes, and colours that can be told from what they stand on in every theme."""

from collections.abc import Mapping
from typing import Any

from textual.color import Color
from textual.theme import Theme

LINE_CONTRAST = 3.0
"""The least contrast of a border with what it stands on (WCAG 2.2, criterion 1.4.11)."""
TEXT_CONTRAST = 4.5
"""The least contrast of text with what it stands on (WCAG 2.2, criterion 1.4.3)."""
BACKGROUNDS = ("background", "surface", "panel")
"""The variables of what text and borders stand on."""
LINES = ("border", "border-blurred")
"""The variables of borders."""
TEXTS = (
    "foreground",
    "text-muted",
    "primary",
    "secondary",
    "accent",
    "success",
    "warning",
    "error",
    "footer-key-foreground",
    "footer-description-foreground",
)
"""The variables of text; hints have the colour ``text-muted``."""


def _variables(**colours: str) -> dict[str, str]:
    """Return the variables of a theme that follow from a few colours."""
    surface, primary, background = colours["surface"], colours["primary"], colours["background"]
    return {
        "border": colours["border"],
        "border-blurred": colours["border"],
        "text-muted": colours["muted"],
        "text-disabled": colours["muted"],
        "foreground-muted": colours["muted"],
        "footer-background": colours["background"],
        "footer-key-foreground": primary,
        "footer-description-foreground": colours["muted"],
        "scrollbar": colours["border"],
        "scrollbar-hover": colours["muted"],
        "scrollbar-active": primary,
        "scrollbar-background": surface,
        "scrollbar-background-hover": surface,
        "scrollbar-background-active": surface,
        "scrollbar-corner-color": background,
        "block-cursor-background": primary,
        "block-cursor-foreground": background,
        "block-cursor-text-style": "none",
        "input-selection-background": primary,
        "input-selection-foreground": background,
        "screen-selection-background": primary,
        "screen-selection-foreground": background,
    }


def _theme(name: str, *, border: str, muted: str, dark: bool, **colours: Any) -> Theme:
    return Theme(name=name, dark=dark, variables=_variables(border=border, muted=muted, **colours), **colours)


DARK = _theme(
    "shakegpt",
    primary="#d9a441",  # gold: what is chosen, and training curves
    secondary="#7fb3a6",  # green: validation curves
    accent="#e07a5f",  # red: one thing at a time, such as a cursor
    foreground="#e8e0d0",
    background="#12100e",
    surface="#1b1815",
    panel="#262119",
    success="#8fb573",
    warning="#e0b050",
    error="#e5675f",
    border="#7d6e55",
    muted="#a89c86",
    dark=True,
)

LIGHT = _theme(
    "shakegpt-paper",
    primary="#7f5300",
    secondary="#286759",
    accent="#a63a22",
    foreground="#2a241b",
    background="#f6f0e2",
    surface="#efe7d4",
    panel="#e5dac2",
    success="#416729",
    warning="#7b5600",
    error="#a8201a",
    border="#857550",
    muted="#675b46",
    dark=False,
)

SIXTEEN = Theme(
    name="shakegpt-16",
    ansi=True,
    primary="ansi_yellow",  # the gold of sixteen colours
    secondary="ansi_green",
    accent="ansi_red",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    success="ansi_cyan",
    warning="ansi_yellow",
    error="ansi_bright_red",
    variables={
        # Only the terminal's own text colour is sure to be seen on its background, be that dark or light.
        "ansi-background": "ansi_black",
        "ansi-foreground": "ansi_white",
        "surface": "ansi_default",
        "panel": "ansi_default",
        "border": "ansi_default",
        "border-blurred": "ansi_default",
        "text-muted": "ansi_default",
        "text-disabled": "ansi_default",
        "foreground-muted": "ansi_default",
        # Half of one of the sixteen colours is all of it: text of the same colour would be lost on it.
        **dict.fromkeys(("success-muted", "warning-muted", "error-muted"), "ansi_default"),
        "footer-key-foreground": "ansi_yellow",
        "scrollbar": "ansi_white",
        "scrollbar-hover": "ansi_white",
        "scrollbar-active": "ansi_yellow",
        "scrollbar-background": "ansi_default",
        "scrollbar-background-hover": "ansi_default",
        "scrollbar-background-active": "ansi_default",
        "block-cursor-background": "ansi_yellow",
        "block-cursor-foreground": "ansi_black",
        "block-cursor-blurred-background": "ansi_default",
        "link-color": "ansi_default",
        "link-background-hover": "ansi_yellow",
        "link-color-hover": "ansi_black",
        "input-cursor-background": "ansi_yellow",
        "input-cursor-foreground": "ansi_black",
        "input-selection-background": "ansi_yellow",
        "input-selection-foreground": "ansi_black",
        "screen-selection-background": "ansi_yellow",
        "screen-selection-foreground": "ansi_black",
    },
)

THEMES = (DARK, LIGHT, SIXTEEN)

RUN_COLOURS = ("$primary", "$secondary", "$accent", "$success", "$error", "$foreground")
"""The colours of runs that are drawn together, in their order; after the last comes the first again."""


def run_colour_rules(selector: str) -> str:
    """Return the style rules of ``RUN_COLOURS``, each for ``selector`` with the number of its colour."""
    return "\n".join(f"{selector}{number} {{ color: {colour}; }}" for number, colour in enumerate(RUN_COLOURS))


def contrast(one: Color, other: Color) -> float:
    """Return the contrast ratio of two opaque colours by WCAG 2.2, from 1 to 21."""
    darker, lighter = sorted(map(_luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Color) -> float:
    """Return the relative luminance of a colour by WCAG 2.2."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def with_contrast(variables: Mapping[str, str]) -> dict[str, str]:
    """Return a theme's CSS variables, with borders, text and selections that can be seen.

    Textual's own themes were made for other apps: their borders are faint, and selected text may have the colour of
    its background. Colours of the terminal's palette, which nobody here knows, stay as they are.
    """
    changed = dict(variables)
    grounds = [Color.parse(variables[name]) for name in BACKGROUNDS]
    if any(ground.ansi is not None or ground.a < 1 for ground in grounds):
        return changed
    for names, ratio in ((LINES, LINE_CONTRAST), (TEXTS, TEXT_CONTRAST)):
        for name in names:
            changed[name] = _readable(_opaque(variables[name], grounds[0]), grounds, ratio).hex
    selected = Color.parse(changed["primary"])
    changed["screen-selection-background"] = changed["input-selection-background"] = selected.hex
    changed["screen-selection-foreground"] = changed["input-selection-foreground"] = grounds[0].hex
    return changed


def _opaque(value: str, ground: Color) -> Color:
    """Return the colour of a CSS value such as ``#fff``, ``#fff 60%`` or ``auto 60%`` on a ground."""
    name, _, percent = value.partition(" ")
    colour = ground.get_contrast_text(1.0) if name == "auto" else Color.parse(name)
    return ground + (colour.multiply_alpha(float(percent.rstrip("%")) / 100) if percent else colour)


def _readable(colour: Color, grounds: list[Color], ratio: float) -> Color:
    """Return the colour, moved towards black or white until its contrast with every ground is ``ratio``."""
    far = grounds[0].get_contrast_text(1.0)
    for step in range(21):
        candidate = colour.blend(far, step / 20)
        if all(contrast(candidate, ground) >= ratio for ground in grounds):
            return candidate
    return far
