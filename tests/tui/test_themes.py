"""Whether what the themes draw can be seen: contrast by WCAG 2.2, computed here from the definition."""

import itertools

import pytest
from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

from shakegpt.tui.themes import DARK, LIGHT, SIXTEEN, contrast, with_contrast

LINES = ("border", "border-blurred", "scrollbar")
TEXTS = (
    *("foreground", "text-muted", "text-disabled", "primary", "secondary", "accent", "success", "warning", "error"),
    *("footer-key-foreground", "footer-description-foreground"),
)
SELECTIONS = ("screen-selection", "input-selection", "block-cursor")
OURS = (DARK, LIGHT)
TRUECOLOR = [theme for theme in (*OURS, *BUILTIN_THEMES.values()) if not theme.ansi]


def luminance(colour: Color) -> float:
    channels = [part / 255 for part in (colour.r, colour.g, colour.b)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def ratio(one: str, other: str) -> float:
    low, high = sorted(luminance(Color.parse(colour)) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def variables(theme: Theme) -> dict[str, str]:
    return with_contrast({**theme.to_color_system().generate(), **theme.variables})


@pytest.mark.parametrize("theme", OURS, ids=lambda theme: theme.name)
@pytest.mark.parametrize("ground", ["background", "surface", "panel"])
def test_our_themes_are_readable_as_they_are_written(theme: Theme, ground: str) -> None:
    written = {**theme.to_color_system().generate(), **theme.variables}
    for name in LINES:
        assert ratio(written[name], written[ground]) >= 3, name
    for name in TEXTS:
        assert ratio(written[name], written[ground]) >= 4.5, name


@pytest.mark.parametrize("theme", TRUECOLOR, ids=lambda theme: theme.name)
def test_every_theme_is_readable_in_the_app(theme: Theme) -> None:
    css = variables(theme)
    for ground, name in itertools.product(("background", "surface", "panel"), ("border", "border-blurred")):
        assert ratio(css[name], css[ground]) >= 3, (ground, name)
    for ground, name in itertools.product(("background", "surface", "panel"), ("text-muted", "primary", "foreground")):
        assert ratio(css[name], css[ground]) >= 4.5, (ground, name)


@pytest.mark.parametrize("theme", [*TRUECOLOR, SIXTEEN], ids=lambda theme: theme.name)
def test_selected_text_is_readable(theme: Theme) -> None:
    css = variables(theme)
    for name in ("screen-selection", "input-selection"):
        text, ground = css[f"{name}-foreground"], css[f"{name}-background"]
        if theme.ansi:
            assert Color.parse(text).ansi != Color.parse(ground).ansi
        else:
            assert ratio(text, ground) >= 4.5


@pytest.mark.parametrize("level", ["success", "warning", "error"])
def test_a_notice_has_not_the_colour_of_its_background(level: str) -> None:
    css = variables(SIXTEEN)
    assert Color.parse(css[f"text-{level}"]).ansi != Color.parse(css[f"{level}-muted"]).ansi


def test_sixteen_colours_keep_gold_green_and_red() -> None:
    names = [Color.parse(colour).css for colour in (SIXTEEN.primary, SIXTEEN.secondary or "", SIXTEEN.accent or "")]
    assert names == ["ansi_yellow", "ansi_green", "ansi_red"]


def test_sixteen_colours_write_text_in_the_terminals_own_colour() -> None:
    css = variables(SIXTEEN)
    for name in ("foreground", "text-muted", "border", "footer-description-foreground"):
        assert css[name] == "ansi_default", name


@pytest.mark.parametrize(
    ("one", "other", "expected"), [("#000", "#fff", 21.0), ("#777", "#fff", 4.48), ("#fff", "#fff", 1.0)]
)
def test_contrast(one: str, other: str, expected: float) -> None:
    assert contrast(Color.parse(one), Color.parse(other)) == pytest.approx(expected, abs=0.01)
