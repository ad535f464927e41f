"""One page of row writes within an open transaction: lock, compare, write, read back."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from psycopg import errors

from shared.adapters.postgres import write_statements
from shared.adapters.postgres.fates import TransactionName
from shared.adapters.postgres.rows import possible_keys, read_page
from shared.adapters.postgres.session import WriteSession
from shared.adapters.postgres.statements import Statement
from shared.adapters.postgres.target import KeyIndex, Target, key_index
from shared.adapters.postgres.write_statements import Lock
from shared.core.definition import SourceSpec
from shared.core.errors import ConfigurationError, InvariantViolated, NotFound, PreconditionFailed, RowRejected
from shared.core.ids import Identity
from shared.core.source import Busy, DeleteRow, InsertRow, Moved, Row, RowChange, RowOutcome, UpdateRow, Wrote

Keys = Mapping[Identity, tuple[str, ...]]
_Change = TypeVar("_Change", UpdateRow, DeleteRow)


@dataclass(slots=True, kw_only=True)
class Page:
    """The changes of one transaction, all of one table, each to a row of its own."""

    session: WriteSession
    spec: SourceSpec
    target: Target
    name: TransactionName

    def apply(self, changes: Sequence[RowChange]) -> Mapping[UUID, RowOutcome]:
        """An outcome for every change. Raises psycopg's errors, and the engine's; then the transaction is over.

        Rows are written in the order of deletes, updates and inserts, so that a unique value that one row gives up is
        free for another one."""
        keys = self._checked(changes)
        arbiter = self._key_index(changes)
        self.session.read()
        missed: dict[UUID, RowOutcome] = {}
        deletes = self._held([c for c in changes if isinstance(c, DeleteRow)], "update", keys, missed)
        updates = self._held([c for c in changes if isinstance(c, UpdateRow)], "no key update", keys, missed)
        inserts = [change for change in changes if isinstance(change, InsertRow)]
        try:
            self.session.write()
            written = self._delete(deletes, keys) | self._update(updates, keys)
            inserted = self._insert(inserts, keys, arbiter)
            # Deferred constraints and triggers run now, where what they do is still read back.
            self.session.connection.execute("set constraints all immediate")
        except errors.LockNotAvailable:
            raise PreconditionFailed(f"{self.spec.table}: another transaction holds what this one needs") from None
        except errors.QueryCanceled:
            if not self.session.in_full:
                raise
            raise RowRejected(
                f"{self.spec.table}: writing took longer than a statement may: a trigger, a check or a cascade behind this"
                " row is slow",
                code="too_slow",
            ) from None
        except errors.UniqueViolation as error:
            if arbiter is None or error.diag.constraint_name != arbiter.name:
                raise
            raise PreconditionFailed(f"{self.spec.table}: another transaction has made a row with this key") from None
        held: list[UpdateRow | DeleteRow] = [*deletes, *updates]
        rows = self._read([*held, *inserts], keys)
        # COMMIT may run what triggers put off once more.
        self.session.write()
        return (
            missed
            | {change.op: _outcome(change, rows, written) for change in held}
            | self._of_inserts(inserts, rows, whole=inserted == len(inserts))
        )

    # -- before anything is sent

    def _checked(self, changes: Sequence[RowChange]) -> Keys:
        identities = [change.identity for change in changes]
        if len(set(identities)) < len(identities):
            raise InvariantViolated(f"{self.spec.table}: one row would be written twice in one transaction")
        own = {key.name for key in self.spec.key.columns}
        keys = dict(possible_keys(self.spec, identities))
        for change in changes:
            match change:
                case InsertRow() if change.identity not in keys:
                    raise InvariantViolated(f"{self.spec.table}: a new row has an identity that no row can have")
                case UpdateRow() if own & change.values.keys():
                    raise InvariantViolated(f"{self.spec.table}: the key of a row that is there is never written")
                case InsertRow() | UpdateRow():
                    self._check_values(change.values)
        return keys

    def _check_values(self, values: Mapping[str, str | None]) -> None:
        for name, text in values.items():
            if name not in self.target.types:
                raise NotFound(
                    f"{self.spec.table} has no column {name} any more: introspect the table again and adjust the"
                    " definition",
                    code="schema_drift",
                )
            if name in self.target.generated:
                raise RowRejected(
                    f"{self.spec.table}: the database computes the column {name} itself, and it cannot be written:"
                    " let its field be pushed only",
                    field=name,
                    code="generated_column",
                )
            if text is not None and not _is_storable(text):
                raise RowRejected(
                    f"{self.spec.table}: a text for the column {name} holds a character that PostgreSQL cannot store"
                    " (NUL, or half of a surrogate pair)",
                    field=name,
                    code="row_refused",
                )

    def _key_index(self, changes: Sequence[RowChange]) -> KeyIndex | None:
        if not any(isinstance(change, InsertRow) for change in changes):
            return None
        found = key_index(self.session.connection, self.spec, self.target)
        if found is None:
            raise ConfigurationError(
                f"{self.spec.table} has no unique index on its key, and without one a row could be made twice: "
                + write_statements.create_key_index(self.spec),
                code="key_not_unique",
            )
        return found

    # -- locks

    def _held(
        self, changes: Sequence[_Change], lock: Lock, keys: Keys, missed: dict[UUID, RowOutcome]
    ) -> list[_Change]:
        """The changes whose rows are locked now and have their version. What became of the others goes to `missed`.

        Rows that somebody holds are left alone: a page that waited for one user while it holds other rows would make
        all users wait, or be ended for a deadlock with one."""
        asked = {change.identity: keys[change.identity] for change in changes if change.identity in keys}
        locked = self._by_key(write_statements.lock_rows(self.spec, lock), asked)
        versions = {identity: version for identity, version in locked if identity in asked}
        if len(versions) < sum(identity in asked for identity, _ in locked):
            raise ConfigurationError(
                f"two rows of {self.spec.table} have the same key: remove one of them, or choose columns that are"
                " unique together",
                code="duplicate_key",
            )
        others = {identity: texts for identity, texts in asked.items() if identity not in versions}
        there = {identity for (identity,) in self._by_key(write_statements.rows_there(self.spec), others)}
        held = []
        for change in sorted(changes, key=lambda change: change.identity):
            if versions.get(change.identity) == change.version:
                held.append(change)
            else:
                missed[change.op] = Busy() if change.identity in there else Moved()
        return held

    def _by_key(self, statement: Statement, keys: Keys) -> list[Any]:
        if not keys:
            return []
        return self.session.connection.execute(statement, _columns(keys.values())).fetchall()

    # -- writes, under the role's own settings

    def _delete(self, deletes: Sequence[DeleteRow], keys: Keys) -> set[UUID]:
        """The operations whose rows the server says it has deleted."""
        if not deletes:
            return set()
        return self._write(write_statements.delete_rows(self.spec), deletes, [self._place(d, keys) for d in deletes])

    def _update(self, updates: Sequence[UpdateRow], keys: Keys) -> set[UUID]:
        """The operations whose rows the server says it has updated: one statement for each set of columns."""
        groups: defaultdict[tuple[str, ...], list[UpdateRow]] = defaultdict(list)
        for update in updates:
            groups[tuple(sorted(update.values))].append(update)
        written = {update.op for update in groups.pop((), [])}
        for columns, group in groups.items():
            rows = [(*self._place(update, keys), *(update.values[name] for name in columns)) for update in group]
            written |= self._write(write_statements.update_rows(self.spec, columns, self.target.types), group, rows)
        return written

    def _insert(self, inserts: Sequence[InsertRow], keys: Keys, index: KeyIndex | None) -> int:
        """How many rows were inserted. Which ones, no RETURNING can say: under these settings keys print otherwise."""
        own = {key.name for key in self.spec.key.columns}
        groups: defaultdict[tuple[str, ...], list[tuple[str | None, ...]]] = defaultdict(list)
        for insert in sorted(inserts, key=lambda change: change.identity):
            columns = tuple(sorted(insert.values.keys() - own))
            groups[columns].append((*keys[insert.identity], *(insert.values[name] for name in columns)))
        inserted = 0
        for columns, rows in groups.items():
            statement = write_statements.insert_rows(
                self.spec, columns, self.target.types, arbiter=index is not None and index.immediate
            )
            inserted += self.session.connection.execute(statement, _columns(rows)).rowcount
        return inserted

    @staticmethod
    def _place(change: UpdateRow | DeleteRow, keys: Keys) -> tuple[str, ...]:
        return (change.version, *keys[change.identity])

    def _write(
        self, statement: Statement, changes: Sequence[RowChange], rows: Sequence[tuple[str | None, ...]]
    ) -> set[UUID]:
        numbered = [(str(number), *row) for number, row in enumerate(rows)]
        done = self.session.connection.execute(statement, _columns(numbered))
        return {changes[int(number)].op for (number,) in done}

    # -- what has become of them

    def _read(self, changes: Sequence[RowChange], keys: Keys) -> Mapping[Identity, Row]:
        """The rows as they stand, in a statement of its own: RETURNING does not see what AFTER triggers make of them."""
        self.session.read()
        found: dict[Identity, Row] = {}
        read_page(self.session.connection, self.spec, {c.identity: keys[c.identity] for c in changes}, found)
        return found

    def _of_inserts(
        self, inserts: Sequence[InsertRow], rows: Mapping[Identity, Row], *, whole: bool
    ) -> dict[UUID, RowOutcome]:
        outcomes: dict[UUID, RowOutcome] = {}
        for insert in inserts:
            row = rows.get(insert.identity)
            if row is None and whole:
                raise RowRejected(
                    f"{self.spec.table}: a new row does not read back under the key that it was given: a trigger gives it"
                    " another one or removes it, and a row that is made from an item would not be found again",
                    code="key_changed",
                )
            ours = row is not None and (whole or row.version == self.name.version)
            outcomes[insert.op] = Wrote(row=row) if ours else Moved()
        return outcomes


def _outcome(change: UpdateRow | DeleteRow, rows: Mapping[Identity, Row], written: Collection[UUID]) -> RowOutcome:
    """We hold the row, so that nobody else can have changed it. If the server says that it wrote nothing, and the row is
    another one or gone, a trigger has done it instead: a delete that becomes a mark in a column, for example."""
    row = rows.get(change.identity)
    if change.op in written or row is None or row.version != change.version:
        return Wrote(row=row)
    return Moved()


def _columns(rows: Iterable[Sequence[str | None]]) -> list[list[str | None]]:
    """Rows as one array for each of their places."""
    return [list(column) for column in zip(*rows, strict=True)]


def _is_storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
