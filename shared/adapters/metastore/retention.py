"""Retention: runs, conflicts and tombstones that are old enough go, a bounded number at each sweep."""

from datetime import timedelta

import psycopg
from psycopg.rows import TupleRow

from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.statements import load
from shared.core.ids import DefinitionId

SQL = load("retention")
BATCH = 2000
"""Rows of each kind that one sweep removes, so that a sweep is never a long transaction."""

_QUIET = timedelta(days=1)
"""How long a safety poll that found nothing is remembered."""


class Retention:
    def __init__(self, metastore: Metastore) -> None:
        self._metastore = metastore

    def sweep(self, *, runs: timedelta, conflicts: timedelta, tombstones: timedelta) -> dict[str, int]:
        """How many of each kind went."""
        gone = {}
        with self._metastore.connection() as connection:
            ages = {"runs": runs, "quiet_polls": _QUIET, "conflicts": conflicts, "tombstones": tombstones}
            for name, age in ages.items():
                gone[name] = connection.execute(SQL[name], {"age": age, "limit": BATCH}).rowcount
        return gone

    def forget(self, definition: DefinitionId, *, ledger: bool, runs: bool) -> dict[str, int]:
        """What a deleted definition remembers goes: its backlog always, the rest as told. How many of each."""
        gone = {"backlog": 0, "ledger": 0, "runs": 0}
        values = {"definition": definition}

        def work(connection: psycopg.Connection[TupleRow]) -> None:
            gone["backlog"] = connection.execute(SQL["forget_backlog"], values).rowcount
            connection.execute(SQL["forget_renames"], values)
            if ledger:
                gone["ledger"] = connection.execute(SQL["forget_ledger"], values).rowcount
            if runs:
                gone["runs"] = connection.execute(SQL["forget_runs"], values).rowcount

        self._metastore.transact(work)
        return gone
