"""Row writes to the table in memory: the RowWriter of settle's tests, with everything that can happen to a COMMIT."""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from shared.core.definition import SourceSpec
from shared.core.errors import ConfigurationError, Doubt, InvariantViolated, PreconditionFailed, RowRejected, SyncError
from shared.core.ids import Identity, RowVersion, identity_of, key_texts
from shared.core.source import (
    Busy,
    DeleteRow,
    InsertRow,
    Moved,
    RelationKind,
    Row,
    RowChange,
    RowOutcome,
    TransactionFate,
    UpdateRow,
    Wrote,
)
from tests.fakes.source import FakeSource

Values = Mapping[str, str | None]
CommitFault = Literal["lost_after", "lost_before", "late", "refused", "serialization"]
"""What happens to a COMMIT: its answer is lost after it took effect, or before it arrived; it is still under way when the
client has given up (see `land_late`); a deferred trigger refuses; another transaction was in the way."""


def any_text(text: str) -> str | None:
    """Keys of a text column: each text stands for itself, but no NUL."""
    return None if "\0" in text else text


@dataclass
class FakeWriter:
    """Writes to a FakeSource. A row that an open transaction has written is locked: users wait (FakeSource.put)."""

    source: FakeSource
    script: deque[CommitFault | None] = field(default_factory=deque)
    """What happens to the next commits, one each; None, or nothing left: they succeed."""
    refuse: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Key -> (code, message) of the RowRejected that writing this row raises: a constraint, or a trigger's exception."""
    locked: set[str] = field(default_factory=set)
    """Keys of rows that somebody else holds."""
    contended: set[str] = field(default_factory=set)
    """Keys whose write needs a lock that cannot be skipped and that somebody else holds: a row they refer to, a unique
    value that is just being written."""
    trigger: Callable[[str, Values], Values | None] | None = None
    """What the table's trigger makes of a row that is inserted or updated (all its columns); None: it is not written."""
    apply_faults: deque[SyncError | None] = field(default_factory=deque)
    """What the next applies raise, one each."""
    key_of: Callable[[str], str | None] = any_text
    """How the key column prints a text that is given for it; None: no value of its type."""
    system: str = "7400000000000000001"
    timeline: int = 1
    """Another server, or a promoted standby, when a test changes them."""
    begun: int = 0
    """How many transactions were begun."""
    _xid: int = 700
    _reserved: int = 1_000_000
    _states: dict[str, TransactionFate] = field(default_factory=dict)
    _open: "list[FakeTransaction]" = field(default_factory=list)
    _late: "list[FakeTransaction]" = field(default_factory=list)

    def begin(self, spec: SourceSpec) -> "FakeTransaction":
        self._answer()
        if spec.relation not in {RelationKind.TABLE, RelationKind.PARTITIONED}:
            raise ConfigurationError(f"{spec.table} is not a table", code="not_writable")
        self._xid += 1
        self.begun += 1
        transaction = FakeTransaction(self, f"{self.system}/{self.timeline}/{self._xid}")
        self._states[transaction.transaction] = TransactionFate.PENDING
        self._open.append(transaction)
        return transaction

    def fate(self, transactions: Collection[str]) -> Mapping[str, TransactionFate]:
        self._answer()
        here = f"{self.system}/{self.timeline}/"
        return {
            name: self._states.get(name, TransactionFate.UNKNOWN) if name.startswith(here) else TransactionFate.UNKNOWN
            for name in transactions
        }

    def reserve(self, spec: SourceSpec, count: int) -> Sequence[Identity]:
        self._answer()
        first, self._reserved = self._reserved, self._reserved + count
        return [identity_of([str(first + number)]) for number in range(count)]

    def identities(self, spec: SourceSpec, keys: Sequence[Sequence[str]]) -> Sequence[Identity | None]:
        self._answer()
        printed = [self.key_of(key[0]) if len(key) == 1 else None for key in keys]
        return [None if text is None else identity_of([text]) for text in printed]

    def land_late(self) -> None:
        """The COMMITs that were under way arrive."""
        for transaction in self._late:
            transaction.take_effect()
        self._late.clear()

    def drop_late(self) -> None:
        """The COMMITs that were under way never arrive, and the server has noticed."""
        for transaction in self._late:
            transaction.undo()
        self._late.clear()

    def drop_connections(self) -> None:
        """The worker has died: the server rolls back what was open. Late COMMITs are under way none the less."""
        for transaction in list(self._open):
            transaction.close()

    def _answer(self) -> None:
        if self.source.failure is not None:
            raise self.source.failure


@dataclass
class FakeTransaction:
    _writer: FakeWriter
    transaction: str
    _changed: dict[str, dict[str, str | None] | None] = field(default_factory=dict)
    _versions: dict[str, int] = field(default_factory=dict)
    _missed: bool = False
    _applied: bool = False
    _over: bool = False

    def apply(self, changes: Sequence[RowChange]) -> Mapping[UUID, RowOutcome]:
        identities = [change.identity for change in changes]
        if self._over or self._applied or len(set(identities)) < len(identities):
            raise InvariantViolated("a transaction is applied once, to each row once")
        if any(isinstance(change, UpdateRow) and "id" in change.values for change in changes):
            raise InvariantViolated("the key of a row that is there is never written")
        self._applied = True
        try:
            self._writer._answer()
            if self._writer.apply_faults and (fault := self._writer.apply_faults.popleft()) is not None:
                raise fault
            outcomes = {change.op: self._write(change) for change in changes}
        except SyncError:
            self.close()
            raise
        self._missed = not all(isinstance(outcome, Wrote) for outcome in outcomes.values())
        return outcomes

    def commit(self) -> None:
        if self._over or self._missed:
            self.close()
            raise InvariantViolated("a transaction is committed once, and only when every row was written")
        writer = self._writer
        fault = writer.script.popleft() if writer.script else None
        match fault:
            case None:
                self.take_effect()
            case "lost_after":
                self.take_effect()
                raise Doubt("the answer to COMMIT was lost")
            case "lost_before":
                self.undo()
                raise Doubt("the answer to COMMIT was lost")
            case "late":
                self._over = True
                writer._open.remove(self)
                writer._late.append(self)
                raise Doubt("the answer to COMMIT was lost")
            case "refused":
                self.undo()
                raise RowRejected("the database refused the rows at COMMIT", code="row_refused")
            case "serialization":
                self.undo()
                raise PreconditionFailed("another transaction was in the way")

    def close(self) -> None:
        if not self._over:
            self.undo()

    def take_effect(self) -> None:
        for key, values in self._changed.items():
            self._writer.source.store(key, values, self._versions.get(key))
        self._end(TransactionFate.COMMITTED)

    def undo(self) -> None:
        self._end(TransactionFate.ABORTED)

    def _end(self, fate: TransactionFate) -> None:
        self._over = True
        self._writer._states[self.transaction] = fate
        if self in self._writer._open:
            self._writer._open.remove(self)
        self._writer.source.unlock(self)

    def _write(self, change: RowChange) -> RowOutcome:
        writer, source = self._writer, self._writer.source
        (key,) = key_texts(change.identity)
        there = key in source.rows
        if isinstance(change, InsertRow):
            # Another one's uncommitted insert of this key would be waited for, and then be there.
            if there or source.holder(key) is not None:
                return Moved()
            values: dict[str, str | None] = {"id": key, **dict.fromkeys(source.columns)}
        else:
            if not there:
                return Moved()
            if key in writer.locked or source.holder(key) is not None:
                return Busy()
            if source.version(key) != change.version:
                return Moved()
            values = dict(source.rows[key])
        if key in writer.contended:
            raise PreconditionFailed("another transaction holds what this one needs")
        if key in writer.refuse:
            code, message = writer.refuse[key]
            raise RowRejected(message, code=code)
        source.lock(key, self)
        if isinstance(change, DeleteRow):
            self._changed[key] = None
            return Wrote(row=None)
        if isinstance(change, UpdateRow) and not change.values:
            return Wrote(row=source.row(key, values, change.version))
        return self._written(key, {**values, **change.values, "id": key})

    def _written(self, key: str, values: Values) -> RowOutcome:
        if self._writer.trigger is not None:
            made = self._writer.trigger(key, values)
            if made is None:
                return Moved()
            values = made
        self._changed[key] = dict(values)
        self._versions[key] = self._writer.source.next_version()
        return Wrote(row=self._row(key, values))

    def _row(self, key: str, values: Values) -> Row:
        return self._writer.source.row(key, values, RowVersion(str(self._versions[key])))
