"""JSON from strangers, turned into dataclasses or refused."""

import json
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Record = TypeVar("Record")


def parse_record(text: str | bytes, kind: type[Record]) -> Record:
    """Return the dataclass that a JSON object spells.

    Raises:
        ValueError: it is not JSON, names a key twice, or has a missing, unknown or ill-typed field; one short phrase.
    """
    parse_json(text)  # pydantic takes the last of two equal keys; a checkpoint with two is no checkpoint of ours
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
    """Return what a JSON text says, refusing keys that stand twice and numbers that JSON does not have.

    Raises:
        ValueError: it says nothing that JSON can say.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key stands twice")
    return values


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON number")


@cache
def _adapter(kind: Any) -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter  # a tenth of a second that commands which read no file do without

    return TypeAdapter(kind)
