"""Untrusted JSON, validated and turned into dataclasses."""

import json
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Record = TypeVar("Record")


class StrictRecord:
    """The base of a dataclass that is read from JSON which has no field but its own."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}


def parse_record(text: str | bytes, kind: type[Record]) -> Record:
    """Return the dataclass of a JSON object.

    Raises:
        ValueError: it is not JSON, repeats a key, or has a missing, unknown or ill-typed field; one short phrase.
    """
    parse_json(text)  # refuses a repeated key, of which pydantic takes the last
    try:
        record: Record = _adapter(kind).validate_json(text, strict=True)  # type: ignore[arg-type]
    except ValueError as error:
        details = getattr(error, "errors", None)
        if details is None:
            raise
        first = details(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{place}: {first['msg']}" if place else str(first["msg"])) from None
    return record


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text, refusing repeated keys, NaN and infinities.

    Raises:
        ValueError: it is not JSON, or has one of these.
    """
    try:
        return json.loads(text, object_pairs_hook=_refuse_repeated_keys, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key is repeated")
    return values


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON number")


@cache
def _adapter(kind: Any) -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter  # takes a tenth of a second, which only commands that read JSON need

    return TypeAdapter(kind)
