"""Untrusted JSON becomes the dataclass it should be, or is refused."""

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from shakegpt.system.json_records import parse_json, parse_record


@dataclass(frozen=True)
class Card:
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    name: str
    size: int = 0


def test_a_record_is_what_its_json_says() -> None:
    assert parse_record('{"name": "lear", "size": 3}', Card) == Card("lear", 3)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", '{"size": 3}', '{"name": 3}', '{"name": "x", "size": "3"}', '{"name": "x", "size": 3.5}',
        '{"name": "x", "size": true}', '{"name": "x", "colour": "red"}', '{"name": "x", "name": "y"}',
        '{"name": "x", "size": NaN}', "[" * 100_000,
    ],
)  # fmt: skip
def test_json_that_is_not_such_a_record_is_refused_in_a_phrase(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S") as caught:
        parse_record(text, Card)
    assert "\n" not in str(caught.value)
    assert "http" not in str(caught.value)


@pytest.mark.parametrize("text", ["Infinity", "-Infinity", "NaN", '{"a": {"b": 1, "b": 2}}'])
def test_what_json_does_not_have_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"JSON number|is repeated"):
        parse_json(text)
