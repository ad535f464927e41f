"""Static SQL lives in `sql/*.sql`, one file per noun, each statement under a named and described header:

    -- claim --
    -- What the statement does, for people.
    select …

Parameters are named, and cast where their type is not obvious. Texts are typed LiteralString, so that psycopg's typing
refuses anything that was put together from values.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import LiteralString

_FOLDER = Path(__file__).parent / "sql"
_HEADER = re.compile(r"^-- ([a-z0-9_]+) --$", re.MULTILINE)


@cache
def load(noun: str) -> Mapping[str, LiteralString]:
    """The statements of `sql/<noun>.sql` by name. Raises ValueError for a file that breaks the format."""
    text = (_FOLDER / f"{noun}.sql").read_text("utf-8")
    before, *parts = _HEADER.split(text)
    statements: dict[str, LiteralString] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        described = body.lstrip("\n").startswith("-- ")
        if not described or name in statements:
            raise ValueError(f"{noun}.sql: statement {name} needs a description, and a name of its own")
        statements[name] = _without_comments(body)
    if not statements or _without_comments(before):
        raise ValueError(f"{noun}.sql: text outside of named statements")
    return statements


def nouns() -> tuple[str, ...]:
    """The names of all files of statements."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.sql")))


def _without_comments(body: str) -> str:
    # psycopg would take a percent sign or a placeholder of a comment for its own.
    lines = (re.sub(r"(^|\s)--.*$", "", line).rstrip() for line in body.splitlines())
    return "\n".join(line for line in lines if line).rstrip(";")
