"""Reading rows by their identities: many at a time, as text forms, with stamp and version."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import psycopg

from shared.adapters.postgres import statements
from shared.adapters.postgres.connection import Connection, SourceDatabase
from shared.adapters.postgres.introspection import base_types, columns_of
from shared.core.definition import SourceSpec
from shared.core.drift import moved
from shared.core.errors import ConfigurationError, NotFound
from shared.core.ids import Identity, RowVersion, Stamp, key_texts
from shared.core.source import Row

PAGE = 1000
"""Rows a statement. Larger pages gain nothing and hold more memory."""


def read_rows(database: SourceDatabase, spec: SourceSpec, identities: Sequence[Identity]) -> Mapping[Identity, Row]:
    """The rows that exist under these identities, in scope or not.

    Asked-for texts that are none of the key's type stand for no row, and neither does a row that prints another text
    than the one asked for. Raises ConfigurationError where two rows print one identity, and where a column is not what it was.
    """
    found: dict[Identity, Row] = {}
    asked = possible_keys(spec, identities)
    while page := dict(islice(asked, PAGE)):
        try:
            _read(database, spec, page, found)
        except ConfigurationError as error:
            if error.code != "unreadable_rows":
                raise
            # Perhaps a text that the key's type refuses. Without those, the page must do.
            page = _castable(database, spec, page)
            _read(database, spec, page, found)
    return found


def _read(
    database: SourceDatabase, spec: SourceSpec, page: Mapping[Identity, Sequence[str]], found: dict[Identity, Row]
) -> None:
    """Whoever alters the table waits until the transaction that has read it is over: what the catalog says then is what was
    read. A column that was made anew meanwhile shows no value, and every item would be emptied."""
    if not page:
        return
    with database.transaction(spec.table) as connection:
        read_page(connection, spec, page, found)
        why = moved(spec, columns_of(connection, spec.table))
    if why is not None:
        raise ConfigurationError(
            f"{spec.table} is not what this definition was made for: {why}. Nothing was written for it",
            code="schema_drift",
        )


def possible_keys(spec: SourceSpec, identities: Sequence[Identity]) -> Iterator[tuple[Identity, tuple[str, ...]]]:
    """Identities with their key texts; left out is what no row of this table can print."""
    for identity in dict.fromkeys(identities):
        try:
            texts = key_texts(identity)
            identity.encode()
        except ValueError:
            continue
        if len(texts) == len(spec.key.columns) and not any("\0" in text for text in texts):
            yield identity, texts


def read_page(
    connection: Connection, spec: SourceSpec, page: Mapping[Identity, Sequence[str]], found: dict[Identity, Row]
) -> None:
    """Adds the rows of a page (identities with their key texts) to `found`, in a transaction under pinned settings."""
    if not page:
        return
    statement, values = statements.read_rows(spec)
    arrays = [list(texts) for texts in zip(*page.values(), strict=True)]
    for identity, stamp, version, in_scope, soft_deleted, *texts in connection.execute(statement, [*values, *arrays]):
        if identity not in page:
            continue
        if identity in found:
            raise ConfigurationError(
                f"two rows of {spec.table} have the same key in ({', '.join(c.name for c in spec.key.columns)}):"
                " remove one of them, or choose columns that are unique together",
                code="duplicate_key",
            )
        found[Identity(identity)] = Row(
            identity=Identity(identity),
            stamp=Stamp(stamp),
            version=RowVersion(version),
            in_scope=in_scope,
            soft_deleted=soft_deleted,
            values={column.name: text for column, text in zip(spec.read, texts, strict=True)},
        )


def _castable(
    database: SourceDatabase, spec: SourceSpec, page: Mapping[Identity, tuple[str, ...]]
) -> dict[Identity, tuple[str, ...]]:
    """The identities whose texts are of the key's types; one at a time, because the first refusal ends a statement."""
    statement = statements.castable_keys(spec)
    good: dict[Identity, tuple[str, ...]] = {}
    for identity, texts in page.items():
        with database.connection(spec.table) as connection:
            try:
                with connection.transaction():
                    database.pin(connection)
                    connection.execute(statement, list(texts))
            except psycopg.DataError:
                continue
        good[identity] = texts
    if len(good) < len(page):
        _require_same_types(database, spec)
    return good


def _require_same_types(database: SourceDatabase, spec: SourceSpec) -> None:
    """A text that the definition's type refuses proves that there is no row only while the column has that type."""
    with database.transaction(spec.table) as connection:
        now = base_types(connection, spec.table)
    for key in spec.key.columns:
        if now.get(key.name) != key.type.name:
            raise NotFound(
                f"the key column {key.name} of {spec.table} is not of type {key.type.declared} any more:"
                " introspect the table again and adjust the definition",
                code="schema_drift",
            )
