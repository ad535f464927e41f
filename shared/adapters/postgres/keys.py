"""Keys for rows that are to be made: drawn from the key's sequence, made as UUIDs, or read from texts."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import psycopg

from shared.adapters.postgres import write_statements
from shared.adapters.postgres.connection import SourceDatabase
from shared.adapters.postgres.queries import queries
from shared.adapters.postgres.rows import read_rows
from shared.adapters.postgres.session import WriteSession
from shared.adapters.postgres.target import FILE, Target, sequences, target_of
from shared.adapters.postgres.target import Sequence as NumberSequence
from shared.adapters.postgres.translation import translated
from shared.core.definition import SourceSpec
from shared.core.errors import ConfigurationError, PermissionMissing
from shared.core.ids import Identity
from shared.ports import IdSource

_ROUNDS: Final = 5
"""How often numbers are drawn when rows have some of them already: keys that somebody gave by hand."""
_OF_THE_MOMENT: Final = re.compile(r"now|today|tomorrow|yesterday", re.IGNORECASE)
_TIMES: Final = frozenset({"date", "time", "timetz", "timestamp", "timestamptz"})


def reserve_keys(
    database: SourceDatabase, spec: SourceSpec, count: int, *, begin: Callable[[], WriteSession], ids: IdSource
) -> list[Identity]:
    """`count` identities that no row has. Raises ConfigurationError where a key column can be made neither way."""
    reserved: list[Identity] = []
    for _ in range(_ROUNDS):
        wanted = count - len(reserved)
        if wanted <= 0:
            return reserved
        drawn = print_keys(database, spec, _draw(begin(), spec, wanted, ids))
        made = [identity for identity in drawn if identity is not None]
        if len(made) < wanted:
            raise _exhausted(spec)
        taken = read_rows(database, spec, made)
        reserved += [identity for identity in made if identity not in taken]
    if len(reserved) == count:
        return reserved
    with database.transaction(spec.table) as connection:
        behind = _sequences_of_key(sequences(connection, target_of(connection, spec).oid), spec)
    remedy = " ".join(write_statements.lift_sequence(s.schema, s.name, spec, name) for name, s in behind.items())
    raise ConfigurationError(
        f"{spec.table}: rows have the next numbers of the key's sequence already: {remedy}", code="sequence_behind"
    )


def _draw(session: WriteSession, spec: SourceSpec, count: int, ids: IdSource) -> list[tuple[str, ...]]:
    """Key texts, durably: a server that crashes does not draw these numbers again."""
    try:
        with translated(str(spec.table), writing=True):
            target = target_of(session.connection, spec)
            try:
                columns = [list(column) for column in _drawn(session, spec, target, count, ids)]
            except psycopg.errors.SequenceGeneratorLimitExceeded:
                raise _exhausted(spec) from None
            # A number may stand in the log already, put there ahead and not flushed: this is something to flush it by.
            session.connection.execute(queries(FILE)["flush"])
            session.connection.execute("commit")
    finally:
        session.close()
    return list(zip(*columns, strict=True))


def _exhausted(spec: SourceSpec) -> ConfigurationError:
    return ConfigurationError(
        f"{spec.table}: the key's sequence has no number left that its column could hold: give both a greater type",
        code="sequence_exhausted",
    )


def _drawn(
    session: WriteSession, spec: SourceSpec, target: Target, count: int, ids: IdSource
) -> Iterator[Sequence[str]]:
    by_column = sequences(session.connection, target.oid)
    unmade = [key for key in spec.key.columns if key.name not in by_column and not _is_uuid(target, key.name)]
    if unmade:
        raise ConfigurationError(
            f"{spec.table}: keys for new rows cannot be made, because the column"
            f"{'s' * (len(unmade) > 1)} {', '.join(f'{key.name} ({key.type.declared})' for key in unmade)} is neither"
            " numbered by a sequence nor a UUID: map the key to a column of the list that people fill in, or give it a"
            " sequence",
            code="key_cannot_be_made",
        )
    for key in spec.key.columns:
        sequence = by_column.get(key.name)
        if sequence is None:
            yield [str(ids.uuid()) for _ in range(count)]
        elif not sequence.usable:
            raise PermissionMissing(
                f"{spec.table}: the role {session.role} may not draw from the sequence {sequence.schema}.{sequence.name},"
                f" which numbers the key column {key.name}",
                remedy=write_statements.grant_on_sequence(sequence.schema, sequence.name, session.role),
            )
        else:
            yield [text for (text,) in session.connection.execute(queries(FILE)["draw"], [sequence.oid, count])]


def _is_uuid(target: Target, name: str) -> bool:
    type_ = target.types[name]
    return (type_.schema, type_.name) == ("pg_catalog", "uuid")


def _sequences_of_key(found: Mapping[str, NumberSequence], spec: SourceSpec) -> dict[str, NumberSequence]:
    return {key.name: found[key.name] for key in spec.key.columns if key.name in found}


def print_keys(database: SourceDatabase, spec: SourceSpec, keys: Sequence[Sequence[str]]) -> list[Identity | None]:
    """The identity of each row that had these key texts, byte-equal to statements.identity of that row; None: no row can
    have them."""
    printed: list[Identity | None] = [None] * len(keys)
    possible = [number for number, texts in enumerate(keys) if _is_possible(spec, texts)]
    if possible:
        with database.transaction(spec.table) as connection:
            types = target_of(connection, spec).own_types
        for number, identity in _print(database, spec, types, keys, possible):
            printed[number] = identity
    return printed


def _is_possible(spec: SourceSpec, texts: Sequence[str]) -> bool:
    if len(texts) != len(spec.key.columns):
        return False
    for key, text in zip(spec.key.columns, texts, strict=True):
        # "today" is a date to PostgreSQL, and tomorrow another one: nobody's key.
        if "\0" in text or (key.type.name in _TIMES and _OF_THE_MOMENT.search(text)):
            return False
        try:
            text.encode()
        except UnicodeEncodeError:
            return False
    return True


def _print(
    database: SourceDatabase,
    spec: SourceSpec,
    types: write_statements.Types,
    keys: Sequence[Sequence[str]],
    numbers: Sequence[int],
) -> Iterator[tuple[int, Identity]]:
    """In one statement, or, where that fails for some text, in two halves: the first refusal ends a statement."""
    names = [key.name for key in spec.key.columns]
    document = json.dumps([dict(zip(names, keys[number], strict=True)) for number in numbers])
    with database.connection(spec.table) as connection:
        try:
            with connection.transaction():
                database.pin(connection)
                found = connection.execute(write_statements.print_identities(spec, types), [document]).fetchall()
        except (psycopg.DataError, psycopg.IntegrityError):
            found = []
    if found:
        yield from ((numbers[place - 1], Identity(identity)) for place, identity in found)
    elif len(numbers) > 1:
        middle = len(numbers) // 2
        yield from _print(database, spec, types, keys, numbers[:middle])
        yield from _print(database, spec, types, keys, numbers[middle:])
