"""Names of source transactions, and what became of them."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from psycopg import errors

from shared.adapters.postgres.connection import Connection, SourceDatabase
from shared.adapters.postgres.queries import queries
from shared.adapters.postgres.target import FILE
from shared.core.errors import InvariantViolated, SourceUnavailable
from shared.core.source import TransactionFate

_SUBJECT: Final = "the fate of a transaction"
_NAME: Final = re.compile(r"(?P<system>[0-9]{1,20})/(?P<timeline>[0-9]{1,10})/(?P<xid>[0-9]{1,20})", re.ASCII)
_FATES: Final = {
    "committed": TransactionFate.COMMITTED,
    "aborted": TransactionFate.ABORTED,
    "in progress": TransactionFate.PENDING,
    None: TransactionFate.UNKNOWN,
}
_MAX_TIMELINE: Final = 2**31 - 1
_MAX_XID: Final = 2**64 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionName:
    """Which server, which of its histories, which transaction. Only together do they mean one transaction for ever."""

    system: str
    timeline: int
    xid: int

    def __str__(self) -> str:
        return f"{self.system}/{self.timeline}/{self.xid}"

    @property
    def version(self) -> str:
        """The xmin that this transaction gives to rows, as text: the lower half of its id."""
        return str(self.xid % 2**32)


def parse_name(text: str) -> TransactionName | None:
    """None for what cannot be the name of a transaction."""
    found = _NAME.fullmatch(text)
    if found is None:
        return None
    name = TransactionName(system=found["system"], timeline=int(found["timeline"]), xid=int(found["xid"]))
    return name if name.timeline <= _MAX_TIMELINE and name.xid <= _MAX_XID else None


def name_transaction(connection: Connection, flush: Callable[[], None]) -> TransactionName:
    """The name of the transaction under way. It stands in the server's log, and `flush` brings that to disk: a server that
    crashes then knows that the id was given."""
    row = connection.execute(queries(FILE)["names"]).fetchone()
    if row is None:
        raise InvariantViolated("the server did not say who it is")
    system, timeline, xid, position = row
    flush()
    if connection.execute(queries(FILE)["is_flushed"], [position]).fetchone() != (True,):
        raise SourceUnavailable(
            "the server did not bring its log to disk, or two connections to it reach different servers",
            code="not_flushed",
        )
    return TransactionName(system=system, timeline=timeline, xid=int(xid))


def fates(database: SourceDatabase, transactions: Collection[str]) -> Mapping[str, TransactionFate]:
    """What became of each. Raises SourceUnavailable where a standby answers: it may not have heard of them yet."""
    found = dict.fromkeys(transactions, TransactionFate.UNKNOWN)
    names = {text: name for text in found if (name := parse_name(text)) is not None}
    if not names:
        return found
    # Each in a statement of its own: one id that is still to come is an error, and would end them all.
    with database.connection(_SUBJECT) as connection:
        for text, name in names.items():
            found[text] = _fate(connection, name)
    return found


def _fate(connection: Connection, name: TransactionName) -> TransactionFate:
    try:
        row = connection.execute(queries(FILE)["fate"], [name.system, name.timeline, str(name.xid)]).fetchone()
    except errors.InvalidParameterValue:
        # Still to come: this server has lost its memory of it, or never had one.
        return TransactionFate.UNKNOWN
    if row is None:
        raise InvariantViolated("the server did not say what became of a transaction")
    standby, status = row
    if standby:
        raise SourceUnavailable(
            f"{_SUBJECT}: a standby answers, which may not have heard of it yet: the primary is, or comes back, elsewhere",
            code="standby",
        )
    return _FATES[status]
