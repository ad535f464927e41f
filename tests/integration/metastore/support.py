"""Factories for the metastore's tests: marks, claims, entries with nothing but what a test cares about."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast
from uuid import uuid4

import psycopg

from shared.adapters.metastore.backlog import BacklogStore
from shared.core.backlog import Claim, Claimed, Lane, Mark, Reason
from shared.core.definition import SyncDefinition
from shared.core.digests import digest
from shared.core.ids import (
    ClaimToken,
    DefinitionId,
    ETag,
    FieldNo,
    Identity,
    InstanceId,
    ItemId,
    ItemSubject,
    ListId,
    RowSubject,
    RunId,
    Stamp,
    identity_of,
)
from shared.core.ledger import EntryState, Intent, IntentKind, LedgerEntry, Provenance

INSTANCE = InstanceId(uuid4())
LIST = ListId("11111111-2222-3333-4444-555555555555")
LEASE = timedelta(minutes=5)
LANES = tuple(Lane)
SOON = datetime(2030, 1, 1, tzinfo=UTC)


def identity(n: int | str) -> Identity:
    return identity_of([str(n)])


def row(n: int | str) -> RowSubject:
    return RowSubject(identity=identity(n))


def item(n: int) -> ItemSubject:
    return ItemSubject(list_id=LIST, item_id=ItemId(n))


def mark(n: int | str, *reasons: Reason, lane: Lane = Lane.PUSH, news: str | None = None) -> Mark:
    return Mark(
        subject=row(n),
        reasons=frozenset(reasons or {Reason.SCAN}),
        lane=lane,
        news=None if news is None else ETag(news),
    )


def definition_id() -> DefinitionId:
    return DefinitionId(uuid4())


def list_spec(definition: DefinitionId) -> SyncDefinition:
    """As much of a definition as the stores of the list side look at."""
    made = SimpleNamespace(id=definition, target=SimpleNamespace(list_id=LIST))
    return cast("SyncDefinition", made)


def token() -> ClaimToken:
    return ClaimToken(uuid4())


def claim(
    backlog: BacklogStore,
    definition: DefinitionId,
    *,
    limit: int = 100,
    lease: timedelta = LEASE,
    by: ClaimToken | None = None,
    lanes: Sequence[Lane] = LANES,
) -> Claim:
    return backlog.claim(definition, limit=limit, lease=lease, token=by or token(), lanes=lanes)


def claim_one(
    backlog: BacklogStore, definition: DefinitionId, n: int | str, *reasons: Reason, lease: timedelta = LEASE
) -> Claimed:
    """Marks one row and claims it."""
    backlog.mark(definition, [mark(n, *reasons)])
    (claimed,) = claim(backlog, definition, lease=lease).subjects
    return claimed


def entry(
    n: int | str,
    state: EntryState = EntryState.SETTLED,
    *,
    item_id: int | None = 1,
    stamp: int | None = 7,
    etag: str = '"e,1"',
    intents: tuple[Intent, ...] = (),
) -> LedgerEntry:
    gone = state is EntryState.TOMBSTONE
    return LedgerEntry(
        identity=identity(n),
        state=state,
        source_instance_id=INSTANCE,
        list_id=LIST if item_id is not None else None,
        item_id=None if item_id is None else ItemId(item_id),
        etag=ETag(etag),
        stamp=None if stamp is None else Stamp(stamp),
        base=None if gone else {FieldNo(1): digest("a"), FieldNo(2): digest(5)},
        provenance=Provenance.PUSH,
        intents=intents,
        mapping_fingerprint=b"fingerprint",
    )


def patch_intent(item_id: int = 1, guard: str = '"e,1"') -> Intent:
    return Intent(
        op=uuid4(),
        kind=IntentKind.PATCH_ITEM,
        guard=guard,
        list_id=LIST,
        item_id=ItemId(item_id),
        digests={FieldNo(2): digest("sent")},
        expires_at=SOON,
    )


def copy_binary(pairs: Iterable[tuple[str, int]]) -> Iterator[bytes]:
    """What a source's COPY BINARY of (identity text, stamp bigint) sends, a block per row."""
    yield b"PGCOPY\n\xff\r\n\0" + struct.pack(">II", 0, 0)
    for text, stamp in pairs:
        encoded = text.encode()
        yield struct.pack(">hi", 2, len(encoded)) + encoded + struct.pack(">iq", 8, stamp)
    yield struct.pack(">h", -1)


def backlog_row(sql: psycopg.Connection, n: int | str) -> dict[str, object] | None:
    """The stored mark of a row, as a mapping."""
    cursor = sql.execute(
        "select number, reasons, lane, news, state, approved, claim, attempts, reason_code, reason_text, seen_stamp,"
        " nullif(due_at, 'infinity') as due_at from syncbridge.sync_backlog where source_identity = %s",
        [identity(n)],
    )
    found = cursor.fetchone()
    return None if found is None else dict(zip([c.name for c in cursor.description or ()], found, strict=True))


_DRAFT = """{"name": "d", "mode": "ONE_WAY_PUSH", "conflict_policy": "SOURCE_WINS", "key_strategy": "UNIQUE",
"change_detection": "AUTO", "schedule": "PT5M", "guards": {"loop_window": 60}}"""


def keep_definition(sql: psycopg.Connection, definition: DefinitionId) -> None:
    """The definition's row, for the tables that refer to it."""
    sql.execute(
        "insert into syncbridge.sync_definitions"
        " (id, source_schema, source_table_name, source_relation, draft, resolved) values (%s, 's', 't', 'r', %s, '{}')",
        [definition, _DRAFT],
    )


def keep_run(sql: psycopg.Connection, definition: DefinitionId, kind: str = "PUSH", status: str = "RUNNING") -> RunId:
    run = RunId(uuid4())
    sql.execute(
        "insert into syncbridge.sync_runs (id, sync_def_id, run_type, status, trigger, requested_by)"
        " values (%s, %s, %s, %s, 'MANUAL', 'test')",
        [run, definition, kind, status],
    )
    return run
