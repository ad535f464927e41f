"""Retention: runs, conflicts and tombstones that are old enough go, a bounded number at each sweep."""

from datetime import timedelta

from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.statements import load

SQL = load("retention")
BATCH = 2000
"""Rows of each kind that one sweep removes, so that a sweep is never a long transaction."""


class Retention:
    def __init__(self, metastore: Metastore) -> None:
        self._metastore = metastore

    def sweep(self, *, runs: timedelta, conflicts: timedelta, tombstones: timedelta) -> dict[str, int]:
        """How many of each kind went."""
        gone = {}
        with self._metastore.connection() as connection:
            for name, age in (("runs", runs), ("conflicts", conflicts), ("tombstones", tombstones)):
                gone[name] = connection.execute(SQL[name], {"age": age, "limit": BATCH}).rowcount
        return gone
