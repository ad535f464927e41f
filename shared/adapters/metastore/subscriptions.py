"""Subscriptions to lists' changes, as the metastore knows them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.statements import load
from shared.core.ids import DefinitionId, ListId
from shared.core.watching import GraphSubscription, Known, ListSubscription, Wanted

SQL = load("subscriptions")
_BATCH = 50
"""Definitions whose subscriptions one tick looks after."""


class SubscriptionStore:
    """Satisfies the port ListSubscriptions."""

    def __init__(self, metastore: Metastore) -> None:
        self._metastore = metastore

    def of_definition(self, definition: DefinitionId) -> Sequence[ListSubscription]:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["of_definition"], {"definition": definition}).fetchall()
        return [
            ListSubscription(
                id=row[0],
                definition=DefinitionId(row[1]),
                list_id=ListId(row[2]),
                notification_url=row[3],
                subscription_id=row[4],
                client_state_hash=None if row[5] is None else bytes(row[5]),
                asked=row[6],
                expires_at=row[7],
                renew_at=row[8],
                verified_at=row[9],
                look_at=row[10],
                failures=row[11],
                error_code=row[12],
                error_message=row[13],
            )
            for row in rows
        ]

    def due(self, now: datetime, *, wanted: bool) -> Sequence[DefinitionId]:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["due"], {"now": now, "wanted": wanted, "limit": _BATCH}).fetchall()
        return [DefinitionId(found) for (found,) in rows]

    def roster(self) -> Mapping[str, Known]:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["roster"]).fetchall()
        return {
            subscription: Known(definition=DefinitionId(found), list_id=ListId(place), client_state_hash=bytes(hashed))
            for subscription, found, place, hashed in rows
        }

    def add(self, row_id: UUID, wanted: Wanted, *, look_at: datetime) -> bool:
        values = {
            "definition": wanted.definition,
            "list": wanted.list_id,
            "url": wanted.notification_url,
            "look_at": look_at,
        }
        return self._execute("add", id=row_id, **values)

    def claim(self, row: ListSubscription, *, until: datetime) -> bool:
        return self._execute("claim", id=row.id, was=row.look_at, until=until)

    def asked(self, row: ListSubscription, client_state_hash: bytes) -> bool:
        return self._execute("asked", id=row.id, look_at=row.look_at, hash=client_state_hash)

    def live(
        self,
        row: ListSubscription,
        found: GraphSubscription,
        *,
        renew_at: datetime,
        verified_at: datetime,
        next_look: datetime,
    ) -> bool:
        return self._execute(
            "live",
            id=row.id,
            look_at=row.look_at,
            subscription=found.id,
            expires_at=found.expires,
            renew_at=renew_at,
            verified_at=verified_at,
            next_look=next_look,
        )

    def lost(self, row: ListSubscription) -> bool:
        return self._execute("lost", id=row.id, look_at=row.look_at)

    def failed(self, row: ListSubscription, *, code: str, message: str, next_look: datetime) -> bool:
        return self._execute("failed", id=row.id, look_at=row.look_at, code=code, message=message, next_look=next_look)

    def remove(self, row: ListSubscription) -> bool:
        return self._execute("remove", id=row.id, look_at=row.look_at)

    def soon(self, subscription: str, *, at: datetime) -> bool:
        return self._execute("soon", subscription=subscription, at=at)

    def removed(self, subscription: str, *, at: datetime) -> bool:
        return self._execute("removed", subscription=subscription, at=at)

    def _execute(self, name: str, **values: Any) -> bool:
        with self._metastore.connection() as connection:
            return connection.execute(SQL[name], values).rowcount == 1
