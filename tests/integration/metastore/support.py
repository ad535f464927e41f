"""Factories for the metastore's tests: marks, claims, entries with nothing but what a test cares about."""

import itertools
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, ClassVar, cast
from unittest.mock import patch
from uuid import uuid4

import psycopg

from shared.adapters.metastore.backlog import BacklogStore
from shared.adapters.metastore.scans import ScanStore
from shared.adapters.postgres.queries import queries
from shared.core.backlog import Claim, Claimed, Lane, Mark, Reason
from shared.core.checksums import BUCKETS, PROBE, PROBE_SEED
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
from shared.ports import ScanResult

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
    made = SimpleNamespace(id=definition, target=SimpleNamespace(list_id=LIST), takes_foreign_items=True)
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


@contextmanager
def interrupted(act: Callable[[], object], *, before: int) -> Iterator[Callable[[], bool]]:
    """Somebody else acts just before a statement: the first one that is sent in here is number 0. What is given says whether
    there was such a statement. The empty ones, by which a pool tries its connections, do not count."""
    real = psycopg.Connection.execute
    sent = itertools.count()
    acted = False

    def execute(self: Any, statement: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal acted
        if statement and not acted and next(sent) == before:
            acted = True
            act()
        return real(self, statement, *arguments, **options)

    with patch.object(psycopg.Connection, "execute", execute):
        yield lambda: acted


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
    return _copy([text.encode(), struct.pack(">q", stamp)] for text, stamp in pairs)


def _copy(rows: Iterable[list[bytes]]) -> Iterator[bytes]:
    yield b"PGCOPY\n\xff\r\n\0" + struct.pack(">II", 0, 0)
    for fields in rows:
        yield struct.pack(">h", len(fields)) + b"".join(struct.pack(">i", len(one)) + one for one in fields)
    yield struct.pack(">h", -1)


@dataclass
class Reading:
    """The port Stamps over given rows, hashed by a real server; notes which passes were asked for."""

    sql: psycopg.Connection
    pairs: Sequence[tuple[Identity, int]]
    passes: list[str] = field(default_factory=list)
    hashes_as: str = ""
    """Empty: as the server says."""
    last: ClassVar[int] = BUCKETS - 1

    def hashing(self) -> str:
        if self.hashes_as:
            return self.hashes_as
        ((answer,),) = self.sql.execute(queries("stamps.sql")["hashing"], [PROBE, PROBE, PROBE_SEED]).fetchall()
        return str(answer)

    def rows(self, buckets: bytes | None = None) -> Iterator[bytes]:
        self.passes.append("all rows" if buckets is None else "some rows")
        chosen = [
            (identity, stamp)
            for (identity, stamp), bucket in zip(self.pairs, self.buckets(), strict=True)
            if buckets is None or buckets[bucket >> 3] >> (bucket & 7) & 1
        ]
        return copy_binary(chosen)

    def buckets(self) -> list[int]:
        """Of each row, as both servers have to compute it."""
        found = self.sql.execute(
            'select (hashtextextended(i collate "C", 0) & %s)::int from unnest(%s::text[]) with ordinality as t (i, n)'
            " order by n",
            [self.last, [identity for identity, _ in self.pairs]],
        )
        return [bucket for (bucket,) in found]

    def checksums(self) -> Iterator[bytes]:
        self.passes.append("checksums")
        found = self.sql.execute(
            'select (hashtextextended(i collate "C", 0) & %s)::int, count(*), bit_xor(hashtextextended(i collate "C", s))'
            " from unnest(%s::text[], %s::bigint[]) as t (i, s) group by 1",
            [self.last, [identity for identity, _ in self.pairs], [stamp for _, stamp in self.pairs]],
        ).fetchall()
        return _copy([struct.pack(">i", one[0]), struct.pack(">q", one[1]), struct.pack(">q", one[2])] for one in found)


def scan_whole(
    scans: ScanStore,
    spec: SyncDefinition,
    run: RunId,
    reading: Reading,
    *,
    hold_deletes: bool = False,
    lane: Lane = Lane.PUSH,
) -> tuple[ScanResult, int]:
    """A scan from its beginning to its end: the comparison, and how many marks were made."""
    result = scans.compare(spec, run, scans.load(spec, run, reading))
    made = sum(scans.mark(spec, run, lane=lane, hold_deletes=hold_deletes))
    scans.drop(run)
    return result, made


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
