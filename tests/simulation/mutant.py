"""What a mutant is: one rule of the production code taken out, in this process only, and who notices."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    name: str
    sentence: str
    apply: Callable[[ExitStack], None]
    seeds: tuple[int, ...] = ()
    """Known to notice."""
    directed: str | None = None
    """What the schedule hits too rarely, or what a later scan mends by itself, has a test of its own."""
    unique: bool = True
    """The list's key column enforces unique values."""
    kind: str = "push"
    """Whose seeds."""
