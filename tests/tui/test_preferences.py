import json
import stat
from pathlib import Path

import pytest

from shakegpt.config import SamplingConfig
from shakegpt.system.paths import preferences_file
from shakegpt.tui.preferences import ENDLESS, MAX_PROMPTS, Preferences, load_preferences, save_preferences


def test_what_is_saved_is_read_back(home: Path) -> None:
    mine = Preferences(
        theme="nord",
        sampling=SamplingConfig(temperature=0.5, top_k=7, stop=("\n\n",)),
        prompts=("ROMEO:\n", "JULIET:\n"),
        new_run={"preset": "nano", "steps": "20"},
        speed=0,
        speaking=False,
        odds=True,
        tint=False,
    )
    save_preferences(mine)
    assert preferences_file() == home / "config" / "preferences.json"
    assert load_preferences() == mine


def test_the_file_is_private(home: Path) -> None:
    save_preferences(Preferences())
    assert stat.S_IMODE(preferences_file().stat().st_mode) == 0o600
    assert stat.S_IMODE(preferences_file().parent.stat().st_mode) == 0o700
    assert [path.name for path in preferences_file().parent.iterdir()] == ["preferences.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1]",
        "null",
        '"theme"',
        "[" * 100_000,
        '{"theme": 3, "prompts": "x", "sampling": [], "new_run": 1}',
        '{"speed": "fast", "speaking": 1, "odds": "x", "tint": null}',
        '{"speed": -1}',
        '{"speed": true}',
    ],
)
def test_a_damaged_file_gives_the_defaults(home: Path, text: str) -> None:
    preferences_file().parent.mkdir(parents=True)
    preferences_file().write_text(text)
    assert load_preferences() == Preferences()


def test_a_file_that_is_not_text_gives_the_defaults(home: Path) -> None:
    preferences_file().parent.mkdir(parents=True)
    preferences_file().write_bytes(b"\xff\xfe\x00")
    assert load_preferences() == Preferences()


def test_valid_fields_of_a_damaged_file_are_read(home: Path) -> None:
    preferences_file().parent.mkdir(parents=True)
    sampling = {"temperature": 0.3, "top_p": 7, "top_k": "many", "of another day": 1}
    values = {"theme": "nord", "sampling": sampling, "prompts": ["a", 3, "b"], "new_run": {"steps": "9", "seed": 1}}
    preferences_file().write_text(json.dumps(values))
    assert load_preferences() == Preferences(
        theme="nord",
        sampling=SamplingConfig(temperature=0.3, length=ENDLESS),
        prompts=("a", "b"),
        new_run={"steps": "9"},
    )


def test_a_prompt_moves_to_the_front_and_the_oldest_are_dropped() -> None:
    preferences = Preferences()
    for number in range(MAX_PROMPTS + 5):
        preferences = preferences.with_prompt(f"{number}")
    preferences = preferences.with_prompt("50")
    assert preferences.prompts[:2] == ("50", f"{MAX_PROMPTS + 4}")
    assert len(preferences.prompts) == len(set(preferences.prompts)) == MAX_PROMPTS


@pytest.mark.parametrize(
    ("values", "length"),
    [
        ({"sampling": {"length": 400}}, ENDLESS),
        ({"sampling": {"length": 800}}, 800),
        ({"sampling": {"length": 400}, "speed": 40}, 400),
        ({}, ENDLESS),
    ],
)
def test_a_file_of_an_earlier_version_has_the_new_defaults(home: Path, values: dict[str, object], length: int) -> None:
    preferences_file().parent.mkdir(parents=True)
    preferences_file().write_text(json.dumps(values))
    preferences = load_preferences()
    assert preferences.sampling.length == length
    assert (preferences.speed, preferences.speaking, preferences.odds, preferences.tint) == (40, True, None, None)
