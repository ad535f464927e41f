"""This package's static SQL: files of statements, each under `-- name: <name>` and a description in comments."""

import re
from functools import cache
from importlib.resources import files
from typing import Final, LiteralString, cast

_HEADER: Final = re.compile(r"^-- name: ([a-z_]+)\n((?:-- .*\n)+)", re.MULTILINE)


@cache
def queries(file: str) -> dict[str, LiteralString]:
    """The statements of one file of this package, by name. Every one has a description, or it is not found."""
    text = files(__package__).joinpath(file).read_text(encoding="utf-8")
    parts = _HEADER.split(text)
    # What ships inside the package was written by us, as literally as a string in a module.
    return {name: cast("LiteralString", body.strip()) for name, body in zip(parts[1::3], parts[3::3], strict=True)}
