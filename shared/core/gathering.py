"""From a change stream's events to batches of keys: coalesced, bounded, with the position up to which they are complete.

Pure: events go in one by one, a batch is taken when the caller wants one. Identities are byte-equal to those that a scan
of the same row prints (the stream's session has to run under the same settings).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeGuard

from shared.core.changes import Operation, TableChanges
from shared.core.errors import StreamMalformed
from shared.core.families import Family, family_of
from shared.core.ids import Identity
from shared.core.pgoutput import Begin, Commit, Delete, Event, Insert, Relation, RowData, Truncate, Update, Value
from shared.core.renames import KeyChange
from shared.core.replication import NO_LSN, Lsn, moment
from shared.core.source import SourceColumn, SourceType, TableRef

MOST_PENDING: Final = 5_000
"""Keys that are gathered at most before they have to be taken: memory stays flat, whatever a transaction holds."""

LONGEST_KEY: Final = 8_000
"""Characters of an identity that a message surely can hold. Rows with a longer one are left to the scan."""

_quoted = json.encoder.encode_basestring  # what json.dumps quotes a text with, without its detours


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A table and the key by which somebody wants to know its changes."""

    table: TableRef
    key: tuple[SourceColumn, ...]


Watches = Mapping[TableRef, tuple[Watch, ...]]


class TroubleKind(StrEnum):
    TRUNCATED = "TRUNCATED"
    """All rows went at once; none of them is named."""
    DESCRIBED = "DESCRIBED"
    """The table was described, for the first time or anew: its columns have to be compared."""
    IDENTITY_NARROW = "IDENTITY_NARROW"
    """The replica identity lacks columns of the key: a changed or deleted row cannot be told."""
    KEY_UNKNOWN = "KEY_UNKNOWN"
    """A change whose key was not sent, or is too long to be. A scan finds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What somebody has to look at before the position moves on."""

    kind: TroubleKind
    table: TableRef
    relation: Relation


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    tables: tuple[TableChanges, ...]
    changes: int
    """Row changes before they were coalesced."""
    first: Lsn
    last: Lsn
    committed_at: datetime | None
    """Of the oldest transaction; None: there is no change."""
    complete: Lsn
    """Every change before it is in this batch or in one before it."""
    troubles: tuple[Trouble, ...]


@dataclass(slots=True)
class Gatherer:
    """`complete`: where the stream begins."""

    watches: Watches
    complete: Lsn
    in_transaction: bool = False
    changes: int = 0
    keys: int = 0
    _readers: dict[int, tuple["_Reader", ...]] = field(default_factory=dict)
    _pending: dict[int, tuple[Watch, dict[Identity, Operation]]] = field(default_factory=dict)
    """By the watch's place in memory: it is a large thing to hash for every row."""
    _renames: dict[int, dict[KeyChange, None]] = field(default_factory=dict)
    """In the order in which they happened last."""
    _troubles: dict[tuple[TroubleKind, TableRef], Trouble] = field(default_factory=dict)
    _transaction: Begin | None = None
    _first: Begin | None = None
    _last: Begin | None = None

    def watch(self, watches: Watches) -> None:
        """From the next event on. Keys that were gathered under the old ones stay."""
        self.watches = watches
        self._readers.clear()

    @property
    def empty(self) -> bool:
        return not self._pending and not self._troubles

    @property
    def full(self) -> bool:
        if self.keys >= MOST_PENDING:
            return True
        return bool(self._renames) and max(map(len, self._renames.values())) >= MOST_PENDING

    def feed(self, event: Event) -> None:
        match event:
            case Insert():
                for reader in self._readers_of(event.relation):
                    self._add(reader, reader.read(event.new, None), Operation.INSERT, event.relation)
            case Update():
                for reader in self._readers_of(event.relation):
                    self._updated(reader, event)
            case Delete():
                for reader in self._readers_of(event.relation):
                    self._add(reader, reader.read(event.old, None), Operation.DELETE, event.relation)
            case Begin():
                self._transaction, self.in_transaction = event, True
            case Commit():
                self.complete, self.in_transaction, self._transaction = Lsn(event.end_lsn), False, None
            case Relation():
                self._described(event)
            case Truncate():
                for relation in event.relations:
                    if _table(relation) in self.watches:
                        self._trouble(TroubleKind.TRUNCATED, relation)
            case _:
                pass

    def idle(self, server_end: int) -> None:
        """The server has sent everything before this position: it holds nothing more for us."""
        if not self.in_transaction:
            self.complete = max(self.complete, Lsn(server_end))

    def take(self) -> Batch:
        """What was gathered, and begins anew."""
        first, last = self._first, self._last
        batch = Batch(
            tables=tuple(
                TableChanges(
                    table=watch.table,
                    key=tuple(column.name for column in watch.key),
                    operations=operations,
                    renames=tuple(self._renames.get(place, ())),
                )
                for place, (watch, operations) in self._pending.items()
            ),
            changes=self.changes,
            first=NO_LSN if first is None else Lsn(first.final_lsn),
            last=NO_LSN if last is None else Lsn(last.final_lsn),
            committed_at=None if first is None else moment(first.committed_at),
            complete=self.complete,
            troubles=tuple(self._troubles.values()),
        )
        self._pending, self._renames, self._troubles = {}, {}, {}
        self._first = self._last = None
        self.changes = self.keys = 0
        return batch

    def _readers_of(self, relation: Relation) -> tuple["_Reader", ...]:
        readers = self._readers.get(relation.oid)
        if readers is None:
            readers = self._readers[relation.oid] = tuple(
                _Reader(watch, relation) for watch in self.watches.get(_table(relation), ())
            )
        if readers:
            self.changes += 1
        return readers

    def _described(self, relation: Relation) -> None:
        self._readers.pop(relation.oid, None)
        watches = self.watches.get(_table(relation), ())
        if not watches:
            return
        self._trouble(TroubleKind.DESCRIBED, relation)
        identifying = {column.name for column in relation.columns if column.key}
        if any(column.name not in identifying for watch in watches for column in watch.key):
            self._trouble(TroubleKind.IDENTITY_NARROW, relation)

    def _updated(self, reader: "_Reader", event: Update) -> None:
        new = reader.read(event.new, event.old)
        old = new if event.old is None else reader.read(event.old, None)
        if old == new:
            self._add(reader, new, Operation.UPDATE, event.relation)
        else:
            self._add(reader, old, Operation.DELETE, event.relation)
            self._add(reader, new, Operation.INSERT, event.relation)
            if _can_be_told(old) and _can_be_told(new):
                renames = self._renames.setdefault(reader.place, {})
                rename = KeyChange(former=old, new=new)
                renames.pop(rename, None)
                renames[rename] = None

    def _add(self, reader: "_Reader", identity: Identity | None, operation: Operation, relation: Relation) -> None:
        if identity is None or len(identity) > LONGEST_KEY:
            self._trouble(TroubleKind.KEY_UNKNOWN, relation)
            return
        if self._transaction is None:
            raise StreamMalformed("a row outside of any transaction")
        if self._first is None:
            self._first = self._transaction
        self._last = self._transaction
        pending = self._pending.get(reader.place)
        if pending is None:
            pending = self._pending[reader.place] = (reader.watch, {})
        operations = pending[1]
        if identity not in operations:
            self.keys += 1
        operations[identity] = operation

    def _trouble(self, kind: TroubleKind, relation: Relation) -> None:
        table = _table(relation)
        self._troubles[kind, table] = Trouble(kind=kind, table=table, relation=relation)


class _Reader:
    """Reads a watch's key out of rows of one description."""

    __slots__ = ("_form", "_forms", "_known", "_places", "_simple", "place", "watch")

    def __init__(self, watch: Watch, relation: Relation) -> None:
        places = {column.name: place for place, column in enumerate(relation.columns)}
        self.watch, self.place = watch, id(watch)
        self._known = all(column.name in places for column in watch.key)
        self._places = [places[column.name] for column in watch.key] if self._known else []
        self._forms = [key_form(column.type) for column in watch.key]
        self._simple, self._form = self._places == [0], self._forms[0]

    def read(self, row: RowData, old: RowData | None) -> Identity | None:
        """None: it is not there. A part that an UPDATE did not touch is that of the old row, where that was sent."""
        if self._simple:
            first = row.first()
            if isinstance(first, str):
                return Identity(f"[{_quoted(first if self._form is None else self._form(first))}]")
        if not self._known:
            return None
        values: list[Value] = row.pick(self._places)
        before: list[Value] | None = None
        texts = []
        for number, form in enumerate(self._forms):
            value = values[number]
            if not isinstance(value, str):
                if value is None or old is None:
                    return None
                before = before or old.pick(self._places)
                value = before[number]
                if not isinstance(value, str):
                    return None
            texts.append(_quoted(value if form is None else form(value)))
        return Identity(f"[{', '.join(texts)}]")


def key_form(type_: SourceType) -> Callable[[str], str] | None:
    """What makes a key column's output the text that its identity has; None: it is that text.

    A cast to text prints booleans in full, and identities hold numerics without trailing zeros."""
    match family_of(type_):
        case Family.BOOLEAN:
            return _spelled
        case Family.DECIMAL:
            return _trimmed
        case _:
            return None


def _can_be_told(identity: Identity | None) -> TypeGuard[Identity]:
    return identity is not None and len(identity) <= LONGEST_KEY


def _spelled(boolean: str) -> str:
    return "true" if boolean == "t" else "false"


def _trimmed(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number


def _table(relation: Relation) -> TableRef:
    return TableRef(schema=relation.schema, name=relation.name)
