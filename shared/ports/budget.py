"""Resource units: one budget per tenant and application."""

from typing import Protocol

from shared.core.backlog import Lane


class Budget(Protocol):
    """RU of one (tenant, application), shared by every process."""

    def take(self, ru: int, lane: Lane) -> float:
        """Seconds to wait before asking again; 0.0: granted."""

    def wait(self, lane: Lane) -> float:
        """Seconds until the lane could take something; nothing is taken."""

    def charge(self, ru: int) -> None:
        """RU that were spent beyond what was taken (negative: refund)."""

    def penalize(self, seconds: float) -> None:
        """Graph said 429 or 503: nobody sends before now + seconds, then one request at a time first."""

    def observe(self, *, limit: int, remaining: int, reset: float) -> None:
        """RateLimit headers."""
