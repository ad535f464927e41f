"""The governor's shared state: one row per tenant and application, changed by shared.core.pacing under its lock."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

import psycopg
from psycopg.rows import TupleRow

from shared.adapters.metastore.codec import dumps
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.statements import load
from shared.core import pacing
from shared.core.backlog import Lane
from shared.core.estimate import Ceiling
from shared.core.pacing import Bucket

SQL = load("budget")

T = TypeVar("T")
Spend = Callable[[Bucket, datetime], tuple[Bucket, T]]


class BudgetStore:
    """Satisfies the port Budget. Cheap to make; the row is made at its first use."""

    def __init__(self, metastore: Metastore, *, tenant: str, client: str, limit: Ceiling) -> None:
        self._metastore = metastore
        self._limit = limit
        self._place = {"tenant": tenant, "client": client}

    def take(self, ru: int, lane: Lane) -> float:
        def spend(bucket: Bucket, now: datetime) -> tuple[Bucket, float]:
            grant = pacing.take(bucket, self._limit, ru, lane, now)
            return grant.bucket, grant.wait

        return self._change(spend)

    def wait(self, lane: Lane) -> float:
        """Seconds until the lane could take something; nothing is taken."""
        return self._change(lambda bucket, now: (bucket, pacing.take(bucket, self._limit, 1, lane, now).wait))

    def charge(self, ru: int) -> None:
        self._change(lambda bucket, now: (pacing.charge(bucket, self._limit, ru, now), None))

    def penalize(self, seconds: float) -> None:
        self._change(lambda bucket, now: (pacing.penalize(bucket, self._limit, seconds, now), None))

    def observe(self, *, limit: int, remaining: int, reset: float) -> None:
        self._change(lambda bucket, now: (pacing.observe(bucket, limit, remaining, reset, now), None))

    def _change(self, spend: Spend[T]) -> T:
        def work(connection: psycopg.Connection[TupleRow]) -> T:
            rows = connection.execute(SQL["lock"], self._place).fetchall()
            if not rows:
                [(now,)] = connection.execute(SQL["now"]).fetchall()
                connection.execute(SQL["add"], {**self._place, **_values(pacing.new_bucket(self._limit, now))})
                rows = connection.execute(SQL["lock"], self._place).fetchall()
            level, refilled_at, blocked_until, ramp, hours, now = rows[0]
            before = Bucket(
                level=level,
                refilled_at=refilled_at,
                blocked_until=blocked_until,
                ramp=ramp,
                hours={datetime.fromisoformat(hour): ru for hour, ru in hours.items()},
            )
            after, answer = spend(before, now)
            if after != before:
                connection.execute(SQL["save"], {**self._place, **_values(after)})
            return answer

        return self._metastore.transact(work)


def _values(bucket: Bucket) -> dict[str, object]:
    return {
        "level": bucket.level,
        "refilled_at": bucket.refilled_at,
        "blocked_until": bucket.blocked_until,
        "ramp": bucket.ramp,
        "hours": dumps({hour.isoformat(): ru for hour, ru in bucket.hours.items()}),
    }
