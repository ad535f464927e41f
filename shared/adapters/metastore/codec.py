"""Dataclasses of the core as JSON documents, and back. What is read is validated against the dataclass."""

import dataclasses
import json
from collections.abc import Hashable
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any, TypeVar, cast
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from shared.core.errors import InvariantViolated

T = TypeVar("T")


def jsonable(value: Any) -> Any:
    """A JSON value: durations are seconds, times ISO 8601, enumerations their values."""
    match value:
        case None | bool() | int() | float() | str() if not isinstance(value, Enum):
            return value
        case Enum():
            return value.value
        case timedelta():
            return value.total_seconds()
        case datetime():
            return value.isoformat()
        case UUID():
            return str(value)
        case bytes():
            return value.hex()
        case dict():
            return {str(key): jsonable(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [jsonable(item) for item in value]
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {f.name: jsonable(getattr(value, f.name)) for f in dataclasses.fields(value)}
        case _:
            raise InvariantViolated(f"a {type(value).__name__} has no place in a document")


def dumps(value: Any) -> str:
    return json.dumps(jsonable(value), ensure_ascii=False)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def read(kind: type[T], document: Any) -> T:
    """Raises InvariantViolated for a document that is none; the message names members, never values."""
    try:
        value: T = _adapter(cast("Hashable", kind)).validate_python(document)
    except ValidationError as error:
        where = ", ".join(".".join(str(part) for part in found["loc"]) for found in error.errors()[:5])
        raise InvariantViolated(f"a stored {kind.__name__} cannot be read: {where}") from None
    return value
