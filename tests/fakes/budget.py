"""Budgets in memory: one that paces as the engine does, and none at all."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from shared.core import pacing
from shared.core.backlog import Lane
from shared.core.estimate import Ceiling
from shared.core.pacing import Bucket


@dataclass
class FakeBudget:
    """The port Budget: the engine's own arithmetic over a time that a test moves."""

    limit: Ceiling
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    _bucket: Bucket | None = None

    @property
    def bucket(self) -> Bucket:
        return self._bucket or pacing.new_bucket(self.limit, self.now)

    def take(self, ru: int, lane: Lane) -> float:
        grant = pacing.take(self.bucket, self.limit, ru, lane, self.now)
        self._bucket = grant.bucket
        return grant.wait

    def wait(self, lane: Lane) -> float:
        return pacing.take(self.bucket, self.limit, 1, lane, self.now).wait

    def charge(self, ru: int) -> None:
        self._bucket = pacing.charge(self.bucket, self.limit, ru, self.now)

    def penalize(self, seconds: float) -> None:
        self._bucket = pacing.penalize(self.bucket, self.limit, seconds, self.now)

    def observe(self, *, limit: int, remaining: int, reset: float) -> None:
        self._bucket = pacing.observe(self.bucket, limit, remaining, reset, self.now)


@dataclass
class OpenBudget:
    """No budget: grants everything and remembers what it was told. For tests that are not about pacing, and so the one
    fake that keeps no contract."""

    taken: int = 0
    penalties: list[float] = field(default_factory=list)

    def take(self, ru: int, lane: Lane) -> float:
        self.taken += ru
        return 0.0

    def wait(self, lane: Lane) -> float:
        return 0.0

    def charge(self, ru: int) -> None:
        self.taken += ru

    def penalize(self, seconds: float) -> None:
        self.penalties.append(seconds)

    def observe(self, *, limit: int, remaining: int, reset: float) -> None:
        pass
