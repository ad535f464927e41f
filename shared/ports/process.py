"""The process: what time it is, and new ids."""

from datetime import datetime
from typing import Protocol
from uuid import UUID


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware, UTC."""

    def monotonic(self) -> float:
        """Seconds, for measuring leases from this side."""


class IdSource(Protocol):
    def uuid(self) -> UUID: ...
