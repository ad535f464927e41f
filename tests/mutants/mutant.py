"""What a mutant is: one rule of the production code taken out, in this process only, and who notices."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

Apply = Callable[[ExitStack], None]
"""Enters its patches into the stack, which takes them back."""


@dataclass(frozen=True, slots=True)
class Mutant:
    name: str
    sentence: str
    apply: Apply
    seeds: tuple[int, ...] = ()
    """Known to notice."""
    directed: str | None = None
    """What the schedule hits too rarely, what a later scan mends by itself, and what no simulation sees, has a test of its
    own: its node id, with the parameter."""
    unique: bool = True
    """The list's key column enforces unique values."""
    kind: str = "push"
    """Whose seeds."""


def two_way(
    name: str, sentence: str, apply: Apply, seeds: tuple[int, ...] = (), directed: str | None = None, **more: Any
) -> Mutant:
    """A mutant of two-way sync."""
    return Mutant(f"two_way_{name}", sentence, apply, seeds=seeds, directed=directed, kind="two-way", **more)
