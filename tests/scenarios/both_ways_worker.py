"""A worker of a definition that goes both ways, and that ends itself: python -m tests.scenarios.both_ways_worker JSON

The document: the stage's addresses, the source's role, the definition, `work` (names of production generators, one after
the other), and where it ends: `boundary` with `nth`; `answer` with a method, when the answer to such a write has arrived
and is not read; `commit`, when the COMMIT of a row transaction was sent and its answer is not read. `stop`: it stands still
there instead, and goes on when it is woken.
"""

import json
import os
import signal
import sys
from contextlib import suppress
from datetime import datetime
from random import Random
from typing import Any
from uuid import UUID

import httpx
import psycopg

from shared.adapters.metastore.pool import Metastore
from shared.adapters.postgres.writing import PostgresRowTransaction
from shared.core.errors import Transient
from shared.core.ids import DefinitionId
from tests.scenarios.theatre import ReseededIds, engine_on
from tests.scenarios.worker import DeadlyTransport, die
from tests.scenarios.works import Works


class FollowingClock:
    """The stage's time, wherever the process is."""

    def __init__(self, metastore: str) -> None:
        self._sql = psycopg.connect(metastore, autocommit=True)
        self._began = self.now()

    def now(self) -> datetime:
        [(time,)] = self._sql.execute("select t from simtime.clock").fetchall()
        found: datetime = time
        return found

    def monotonic(self) -> float:
        return (self.now() - self._began).total_seconds()


def commit_and_die(transaction: PostgresRowTransaction) -> None:
    """In place of a commit: it is on its way to the server."""
    raw = transaction._session.connection.pgconn
    raw.send_query(b"commit")
    while raw.flush():
        pass
    die()


def stand_still() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def main(document: dict[str, Any]) -> int:
    where, addresses = document["end"], document["addresses"]
    end = stand_still if where.get("stop") else die
    ids = ReseededIds()
    ids.dice = Random(document["seed"])
    with Metastore(addresses["metastore"], max_size=4) as metastore:
        engine = engine_on(addresses, FollowingClock(addresses["metastore"]), ids, metastore)
        engine.graphs.open()
        if "answer" in where:
            engine.graphs._http = httpx.Client(transport=DeadlyTransport(where["answer"]))
        if where.get("commit"):
            PostgresRowTransaction.commit = commit_and_die  # type: ignore[method-assign]
        works = Works(engine, DefinitionId(UUID(document["definition"])))
        left = where.get("nth", 1)
        with suppress(Transient):  # it stood still for so long that its transaction has become too old
            for name in document["work"]:
                for passed in getattr(works, name)():
                    if passed == where.get("boundary"):
                        left -= 1
                        if left == 0:
                            end()
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
