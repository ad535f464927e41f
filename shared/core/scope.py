"""A definition's row filter (scope) as a small tree. Replaced soon by the whole grammar."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    text: str
