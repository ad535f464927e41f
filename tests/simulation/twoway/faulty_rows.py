"""The real RowWriter with everything that can happen to a COMMIT, by dice: its answer is lost after it took effect, or
before it arrived; it is still under way when the client has given up, and lands up to half a lease later, or never.

Locks, ids and fates are PostgreSQL's own: a COMMIT that is late keeps its session, and `pg_xact_status` says so.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from random import Random
from uuid import UUID

import psycopg

from shared.adapters.postgres.session import WriteLimits
from shared.core.definition import SourceSpec
from shared.core.errors import Doubt, SourceUnavailable
from shared.core.ids import Identity
from shared.core.source import RowChange, RowOutcome, TransactionFate
from shared.ports import RowTransaction, RowWriter
from tests.simulation.ground import LEASE

WRITE_LIMITS = WriteLimits()
IDLE = int(WRITE_LIMITS.idle.total_seconds())
"""Simulated seconds after which the server ends a session that sits in a transaction, as it was told to."""


class FaultyRows:
    """Implements `shared.ports.RowWriter`. `admin`: a session that may look at others and end them."""

    def __init__(self, real: RowWriter, dice: Random, now: Callable[[], float], admin: "psycopg.Connection") -> None:
        self.rate = 0.0
        self.counts: Counter[str] = Counter()
        self._real, self._dice, self._now, self._admin = real, dice, now, admin
        self._open: list[FaultyTransaction] = []
        self._late: list[tuple[float, FaultyTransaction, bool]] = []

    def begin(self, spec: SourceSpec) -> "FaultyTransaction":
        self._answer("begin refused")
        made = FaultyTransaction(self, self._real.begin(spec), self._now())
        self._open.append(made)
        return made

    def fate(self, transactions: Collection[str]) -> Mapping[str, TransactionFate]:
        self._answer("fate refused")
        told = self._real.fate(transactions)
        self.counts.update(f"fate {fate}" for fate in told.values())
        return told

    def reserve(self, spec: SourceSpec, count: int) -> Sequence[Identity]:
        return self._real.reserve(spec, count)

    def identities(self, spec: SourceSpec, keys: Sequence[Sequence[str]]) -> Sequence[Identity | None]:
        return self._real.identities(spec, keys)

    # ---- time

    def pass_time(self) -> None:
        """What is due by now lands, or dies; idle sessions are ended."""
        now = self._now()
        due = [late for late in self._late if late[0] <= now]
        self._late = [late for late in self._late if late[0] > now]
        for _, transaction, lands in due:
            transaction.arrive(lands=lands)
        for transaction in [one for one in self._open if one.began + IDLE <= now]:
            self.counts["ended by the server"] += 1
            self._open.remove(transaction)
            self._end(transaction.transaction)

    def close(self) -> None:
        """The seed is over: nothing stays open."""
        for _, transaction, _ in self._late:
            transaction.arrive(lands=False)
        for transaction in list(self._open):
            transaction.close()
        self._late, self._open = [], []

    def _end(self, transaction: str) -> None:
        # A session is gone before anybody else acts, as the time-out's is.
        self._admin.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where backend_xid::text = %s",
            [str(int(transaction.rsplit("/", 1)[1]) % 2**32)],
        )

    # ---- for transactions

    def fault(self, transaction: "FaultyTransaction") -> str | None:
        """What happens to this COMMIT. A session that the server has ended has its own way to answer."""
        if transaction not in self._open or self._dice.random() >= self.rate:
            return None
        return self._dice.choice(("lost after", "lost after", "lost before", "late", "late", "never"))

    def postpone(self, transaction: "FaultyTransaction", *, lands: bool) -> None:
        self._open.remove(transaction)
        self._late.append((self._now() + self._dice.randrange(1, LEASE // 2), transaction, lands))

    def over(self, transaction: "FaultyTransaction") -> None:
        if transaction in self._open:
            self._open.remove(transaction)

    def is_late(self, transaction: "FaultyTransaction") -> bool:
        return any(late is transaction for _, late, _ in self._late)

    def _answer(self, name: str) -> None:
        if self._dice.random() < self.rate * 0.1:
            self.counts[name] += 1
            raise SourceUnavailable("the source does not answer", code="simulated")


class FaultyTransaction:
    """Implements `shared.ports.RowTransaction`."""

    def __init__(self, writer: FaultyRows, real: RowTransaction, began: float) -> None:
        self._writer, self._real, self.began = writer, real, began

    @property
    def transaction(self) -> str:
        return self._real.transaction

    def apply(self, changes: Sequence[RowChange]) -> Mapping[UUID, RowOutcome]:
        self._writer._answer("apply refused")
        outcomes = self._real.apply(changes)
        self._writer.counts.update(type(outcome).__name__ for outcome in outcomes.values())
        return outcomes

    def commit(self) -> None:
        fault = self._writer.fault(self)
        if fault is not None:
            self._writer.counts[fault] += 1
        match fault:
            case None:
                self._real.commit()
                self._writer.over(self)
            case "lost after":
                self._real.commit()
                self.close()
                raise Doubt("the answer to COMMIT was lost")
            case "lost before":
                self.close()
                raise Doubt("the answer to COMMIT was lost")
            case _:
                self._writer.postpone(self, lands=fault == "late")
                raise Doubt("the answer to COMMIT was lost")

    def close(self) -> None:
        if not self._writer.is_late(self):
            self._writer.over(self)
            self._real.close()

    def arrive(self, *, lands: bool) -> None:
        """The COMMIT that was under way takes effect, or the session dies."""
        if lands:
            # The engine would not send it any more; it was sent long ago.
            self._real._session.connection.execute("commit")
        self._real.close()
