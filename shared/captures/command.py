"""The capture of what a person or a rule names: marks by hand, by key or by condition. Touches no cursor."""

from collections.abc import Generator, Sequence
from dataclasses import replace

from shared.core.backlog import Lane, Mark, Reason
from shared.core.boundaries import Boundary
from shared.core.definition import SyncDefinition
from shared.core.ids import Identity, RowSubject
from shared.core.scope import And, Scope
from shared.ports import Backlog, SourceTables

CHUNK = 5000


def mark_keys(
    definition: SyncDefinition,
    identities: Sequence[Identity],
    *,
    backlog: Backlog,
    reason: Reason = Reason.COMMAND,
    lane: Lane = Lane.PEOPLE,
) -> Generator[Boundary, None, int]:
    """Marks the rows with these identities, whether or not they exist."""
    marked = 0
    for start in range(0, len(identities), CHUNK):
        marked += backlog.mark(definition.id, _marks(identities[start : start + CHUNK], reason, lane))
        yield Boundary.COMMAND_MARKED
    return marked


def mark_matching(
    definition: SyncDefinition,
    condition: Scope | None,
    *,
    source: SourceTables,
    backlog: Backlog,
    reason: Reason = Reason.BACKFILL,
    lane: Lane = Lane.BACKFILL,
) -> Generator[Boundary, None, int]:
    """Marks the rows in the definition's scope that match `condition` (all of them, without one)."""
    spec = definition.source
    if condition is not None:
        spec = replace(spec, scope=condition if spec.scope is None else And(parts=(spec.scope, condition)))
    marked, after = 0, None
    while True:
        identities = source.select_identities(spec, CHUNK, after)
        if identities:
            marked += backlog.mark(definition.id, _marks(identities, reason, lane))
            yield Boundary.COMMAND_MARKED
        if len(identities) < CHUNK:
            return marked
        after = identities[-1]


def _marks(identities: Sequence[Identity], reason: Reason, lane: Lane) -> list[Mark]:
    return [
        Mark(subject=RowSubject(identity=identity), reasons=frozenset({reason}), lane=lane) for identity in identities
    ]
