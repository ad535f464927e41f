"""Watches: numbered notices, and when lists are read without one."""

from collections.abc import Sequence
from datetime import datetime

from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.statements import load
from shared.core.backlog import Lane
from shared.core.ids import DefinitionId
from shared.core.watching import Watched

SQL = load("watches")


class WatchStore:
    """Satisfies the port Watches."""

    def __init__(self, metastore: Metastore) -> None:
        self._metastore = metastore

    def notice(self, definition: DefinitionId) -> bool:
        return self._changed("notice", definition)

    def take(self, definition: DefinitionId) -> None:
        self._changed("take", definition)

    def pending(self, definition: DefinitionId) -> bool:
        with self._metastore.connection() as connection:
            return connection.execute(SQL["pending"], {"definition": definition}).fetchone() == (True,)

    def due(self, now: datetime) -> Sequence[tuple[DefinitionId, datetime | None, bool]]:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["due"], {"now": now}).fetchall()
        return [(DefinitionId(found), next_at, noticed) for found, next_at, noticed in rows]

    def set_next(self, definition: DefinitionId, *, was: datetime | None, next_at: datetime) -> bool:
        if was is None and self._changed("add", definition, next_at=next_at):
            return True
        return self._changed("set_next", definition, was=was, next_at=next_at)

    def after_reading(self, definition: DefinitionId, *, earliest: datetime, retry_at: datetime | None) -> None:
        values = {"definition": definition, "earliest": earliest, "retry_at": retry_at, "lane": Lane.PEOPLE.value}
        with self._metastore.connection() as connection:
            connection.execute(SQL["after_reading"], values)

    def seen(self, definition: DefinitionId) -> Watched:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["seen"], {"definition": definition}).fetchall()
        if not rows:
            return Watched()
        ((notices, noticed_at, next_at),) = rows
        return Watched(notices=notices, noticed_at=noticed_at, next_poll_at=next_at)

    def _changed(self, name: str, definition: DefinitionId, **values: datetime | None) -> bool:
        with self._metastore.connection() as connection:
            return connection.execute(SQL[name], {"definition": definition, **values}).rowcount == 1
