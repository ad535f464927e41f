"""What tests of keys that change share: what a stream tells of them, whose item is whose, and that all is calm."""

from datetime import UTC, datetime
from uuid import UUID

import psycopg

from shared.captures.stream import stream
from shared.core.backlog import Reason
from shared.core.changes import ChangeMessage, Operation, SlotIdentity, TableChanges, pack, unpack
from shared.core.ids import (
    ClaimToken,
    Identity,
    ItemId,
    identity_hash,
    identity_of,
    sync_key,
)
from shared.core.renames import KeyChange
from shared.core.replication import Lsn
from shared.usecases.steps import drive
from tests.settle.two_way import quiet
from tests.settle.world import World

A, B, C, D = (identity_of([key]) for key in "ABCD")


def emptied(dsn: str) -> str:
    """A metastore as it was before the first test."""
    with psycopg.connect(dsn, autocommit=True) as sql:
        sql.execute(
            "truncate syncbridge.sync_backlog, syncbridge.sync_renames, syncbridge.sync_ledger, syncbridge.conflicts,"
            " syncbridge.run_tables, syncbridge.sync_definitions cascade"
        )
    return dsn


def told(world: World, *renames: str, also: str = "") -> None:
    """The message of a stream: "AB" is a row whose key became B; `also`: other keys that changed."""
    pairs = [KeyChange(former=identity_of([pair[0]]), new=identity_of([pair[1]])) for pair in renames]
    operations = {identity_of([key]): Operation.UPDATE for key in also}
    for pair in pairs:
        operations |= {pair.former: Operation.DELETE, pair.new: Operation.INSERT}
    source = world.definition.source
    key = tuple(column.name for column in source.key.columns)
    message = ChangeMessage(
        slot=SlotIdentity(instance=source.instance_id, system="1", timeline=1, name="slot", created=Lsn(1)),
        first=Lsn(2),
        last=Lsn(3),
        committed_at=datetime(2026, 1, 1, tzinfo=UTC),
        tables=(TableChanges(table=source.table, key=key, operations=operations, renames=tuple(pairs)),),
    )
    for text in pack(message):
        arrived = unpack(text)
        assert isinstance(arrived, ChangeMessage)
        drive(stream(arrived, [world.definition], backlog=world.backlog))


def rename(world: World, key: str, new: str, **values: str | None) -> None:
    world.source.rename(key, new, **values)
    told(world, key + new)


def item_ids(world: World) -> dict[str, ItemId]:
    """Row key -> item, by the hidden key column."""
    keys = {sync_key(identity_hash(identity_of([key]))): key for key in "ABCDEF"}
    return {keys[item.versions[-1]["SyncBridgeKey"]]: item.id for item in world.lists.items.values()}


def pushed(world: World, *keys: str) -> dict[str, ItemId]:
    for key in keys:
        world.source.put(key, a=f"a of {key}", b="b")
    world.push()
    return item_ids(world)


def kinds(world: World, since: int = 0) -> list[type]:
    return [type(write) for write in world.lists.writes[since:]]


def on_record(world: World) -> int:
    [(count,)] = world.sql.execute("select count(*) from syncbridge.sync_renames").fetchall()
    return int(count)


def calm(world: World, *, items: int | None = None) -> None:
    """Both sides are equal, nothing is due or on record, and another look at everything writes nothing."""
    assert world.expected() == world.items()
    assert items is None or len(world.lists.items) == items
    assert (world.backlog_rows(), on_record(world)) == ([], 0)
    quiet(world)


def steal(world: World, identity: Identity, *, lease: float) -> ClaimToken:
    """Another worker has claimed the row; `lease`: seconds that it has left."""
    token = ClaimToken(UUID(int=7))
    world.mark(identity, Reason.SCAN)
    world.sql.execute(
        "update syncbridge.sync_backlog set claim = %s, claimed_until = now() + make_interval(secs => %s)"
        " where subject_hash = %s",
        [token, lease, identity_hash(identity)],
    )
    return token
