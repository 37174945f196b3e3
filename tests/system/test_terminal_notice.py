"""The sequences that make a terminal tell its user something, byte by byte."""

import pytest

from shakegpt.system.terminal_notice import desktop_notification

OSC_9 = "\x1b]9;shakegpt: macbeth is done.\a"
OSC_777 = "\x1b]777;notify;shakegpt;macbeth is done.\a"


@pytest.mark.parametrize(
    ("environment", "sequences"),
    [
        ({}, OSC_9 + OSC_777),
        ({"TERM_PROGRAM": "iTerm.app"}, OSC_9 + OSC_777),
        ({"TERM_PROGRAM": "ghostty"}, OSC_777),
        (
            {"TMUX": "/tmp/tmux-0/default,1,0", "TERM_PROGRAM": "tmux"},
            "\x1bPtmux;\x1b\x1b]9;shakegpt: macbeth is done.\a\x1b\\"
            "\x1bPtmux;\x1b\x1b]777;notify;shakegpt;macbeth is done.\a\x1b\\",
        ),
    ],
)
def test_sequences(environment: dict[str, str], sequences: str) -> None:
    assert desktop_notification("macbeth is done.", environment) == sequences


def test_no_text_ends_the_sequence_or_adds_a_part_to_it() -> None:
    sequences = desktop_notification("a\x07b\x1b\\c;d\x9ce\nf", {})
    assert sequences.count("\x1b") == sequences.count("\a") == 2
    assert sequences.startswith("\x1b]9;shakegpt: a\\x07b\\x1b\\c,d\\x9ce\\nf\a\x1b]777;notify;shakegpt;a")


def test_a_long_text_is_cut() -> None:
    assert len(desktop_notification("a" * 5_000, {"TERM_PROGRAM": "WezTerm"})) < 300
