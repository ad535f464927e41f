"""Claim and confirm, the two metastore transactions around every page of settle, beside a bare INSERT and DELETE."""

import statistics
import time
from datetime import timedelta
from uuid import uuid4

import psycopg

from shared.core.backlog import Lane, Mark, Reason
from shared.core.digests import content_hash, digest
from shared.core.ids import (
    ClaimToken,
    DefinitionId,
    Digest,
    ETag,
    FieldNo,
    InstanceId,
    ItemId,
    ListId,
    RowSubject,
    Stamp,
    identity_of,
)
from shared.core.ledger import EntryState, LedgerEntry, Provenance
from shared.ports import Confirmation
from tests.bench.figures import Figure
from tests.bench.stand import UNLIMITED, Stand

PAGE = 200
FIELDS = 24
_TABLES = """
create schema bare;
create table bare.ledger (id text primary key, item int, etag text, stamp bigint, digests bytea, at timestamptz default now());
create table bare.backlog (id text primary key, due timestamptz default now())"""
_INSERT = """
insert into bare.ledger (id, item, etag, stamp, digests)
select * from unnest(%b::text[], %b::int[], %b::text[], %b::bigint[], %b::bytea[])"""


def claim_and_confirm(stand: Stand, *, pages: int) -> list[Figure]:
    """Subjects a second, pages of 200, claimed and confirmed page by page in turn with the bare statements."""
    tenant = stand.tenant("settling", multiplier=UNLIMITED)
    definition = stand.place(tenant).definition
    identities = [identity_of([str(number)]) for number in range(pages * PAGE)]
    stand.engine.stores.backlog.mark(
        definition,
        [
            Mark(subject=RowSubject(identity=identity), reasons=frozenset({Reason.SCAN}), lane=Lane.PUSH)
            for identity in identities
        ],
    )
    base = {FieldNo(number): digest(str(number)) for number in range(FIELDS)}
    ours, bare = [], []
    with psycopg.connect(stand.metastore, autocommit=True) as connection:
        for statement in _TABLES.split(";"):
            connection.execute(statement.encode())
        connection.execute("insert into bare.backlog select unnest(%s::text[])", [list(map(str, identities))])
        for page in range(pages):
            ours.append(_page(stand, definition, base, page * PAGE))
            bare.append(_bare(connection, [str(one) for one in identities[page * PAGE : (page + 1) * PAGE]], base))
        connection.execute("drop schema bare cascade")
        settled = connection.execute(
            "select count(*) from syncbridge.sync_ledger where sync_def_id = %s and state = 'SETTLED'", [definition]
        ).fetchone()
    if settled != (pages * PAGE,) or stand.engine.backlog_of(definition)["parked"]:
        raise RuntimeError(f"{settled} of {pages * PAGE} subjects are settled")
    return [
        Figure(
            name="claim_and_confirm",
            value=PAGE / statistics.median(ours),
            unit="subjects/s",
            against=PAGE / statistics.median(bare),
            note=f"bare psycopg: {PAGE} rows INSERTed and {PAGE} DELETEd in one transaction, arrays",
        )
    ]


def _page(stand: Stand, definition: DefinitionId, base: dict[FieldNo, Digest], before: int) -> float:
    stores, token, instance = stand.engine.stores, ClaimToken(uuid4()), InstanceId(uuid4())
    began = time.perf_counter()
    claim = stores.backlog.claim(definition, limit=PAGE, lease=timedelta(minutes=5), token=token, lanes=tuple(Lane))
    confirmations = []
    for number, claimed in enumerate(claim.subjects, start=before + 1):
        assert isinstance(claimed.subject, RowSubject)
        entry = LedgerEntry(
            identity=claimed.subject.identity,
            state=EntryState.SETTLED,
            source_instance_id=instance,
            list_id=ListId("11111111-2222-3333-4444-555555555555"),
            item_id=ItemId(number),
            etag=ETag('"11111111-2222-3333-4444-555555555555,1"'),
            stamp=Stamp(number),
            base=base,
            content_hash=content_hash(base),
            provenance=Provenance.PUSH,
            mapping_fingerprint=b"m" * 16,
        )
        confirmations.append(Confirmation(claimed=claimed, entry=entry))
    confirmed = stores.ledger.confirm(definition, token, confirmations, run=None)
    seconds = time.perf_counter() - began
    if len(confirmed) != PAGE:
        raise RuntimeError(f"{len(confirmed)} of {PAGE} subjects were confirmed")
    return seconds


def _bare(connection: psycopg.Connection, ids: list[str], base: dict[FieldNo, Digest]) -> float:
    digests = b"".join(base.values())
    began = time.perf_counter()
    with connection.transaction():
        etags = ['"11111111-2222-3333-4444-555555555555,1"'] * len(ids)
        numbers = list(range(len(ids)))
        connection.execute(_INSERT.encode(), [ids, numbers, etags, numbers, [digests] * len(ids)])
        gone = connection.execute("delete from bare.backlog where id = any(%s)", [ids]).rowcount
    seconds = time.perf_counter() - began
    if gone != len(ids):
        raise RuntimeError(f"{gone} of {len(ids)} rows were deleted")
    return seconds
