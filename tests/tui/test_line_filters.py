import ast
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.keys import KEY_DISPLAY_ALIASES

import shakegpt.tui
from shakegpt.tui.line_filters import AsciiFilter, supports_utf8, to_ascii


@pytest.mark.parametrize(
    ("environment", "coerced", "utf8"),
    [
        ({"LANG": "en_GB.UTF-8"}, False, True),
        ({"LANG": "C.utf8"}, False, True),
        ({"LANG": "C"}, False, False),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True, False),  # Python's own doing
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, False, True),
        ({"LANG": "en_GB.UTF-8", "LC_ALL": "POSIX"}, False, False),
        ({"LANG": "en_GB.UTF-8", "LC_CTYPE": "en_GB.ISO-8859-1"}, False, False),
        ({"LC_CTYPE": "C.UTF-8"}, True, True),  # no locale at all: a container
        ({"TERM": "xterm-256color"}, False, True),
        ({"TERM": "vt100"}, False, False),
        ({"TERM": "dumb"}, False, False),
    ],
)
def test_the_locale_tells_whether_utf8_is_shown(environment: dict[str, str], coerced: bool, utf8: bool) -> None:
    assert supports_utf8(environment, coerced=coerced) is utf8


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("╭─ Loss ─╮", "+- Loss -+"),
        ("│▁▂▃▄▅▆▇█│", "|_.-=*###|"),
        ("▼Age 5.4 × 2…", "vAge 5.4 x 2~"),
        ("⠀⠁⣿", "  #"),
        ("Café", "Cafe"),
        ("日本", "????"),
        ("☃", "?"),
    ],
)
def test_every_character_has_an_ascii_one_of_its_width(text: str, shown: str) -> None:
    assert to_ascii(text) == shown
    assert cell_len(shown) == cell_len(text)


def test_the_filter_keeps_styles_and_controls() -> None:
    segments = [Segment("█", None, None), Segment("ok")]
    assert [segment.text for segment in AsciiFilter().apply(segments, Color(0, 0, 0))] == ["#", "ok"]


def drawn_by_the_app() -> set[str]:
    """Return every character beyond ASCII in the text literals of the app, docstrings apart."""
    found: set[str] = set()
    for path in Path(shakegpt.tui.__file__).parent.rglob("*.py"):
        if path.name == "line_filters.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        expressions = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in expressions:
                found |= {character for character in node.value if not character.isascii()}
    return found


QUADRANTS = "▘▝▖▗▚▞▛▜▙▟▀▄▌▐█"
"""What textual-plot draws curves with."""


@pytest.mark.parametrize("character", sorted(drawn_by_the_app() | set(QUADRANTS) | set(KEY_DISPLAY_ALIASES.values())))
def test_all_that_the_app_draws_has_a_stand_in(character: str) -> None:
    assert to_ascii(character) != "?" * cell_len(character)
    assert len(to_ascii(character)) == cell_len(character)
