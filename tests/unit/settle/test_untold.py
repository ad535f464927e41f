"""Which settled rows count as changed without their cursor column, and which have another reason to differ."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from shared.core.backlog import Claimed, Lane, Reason
from shared.core.definition import ChangeDetection, SyncDefinition
from shared.core.ids import ClaimToken, FieldNo, Identity, InstanceId, MarkNumber, RowSubject, RowVersion, Stamp
from shared.core.ledger import EntryState, Intent, IntentKind, LedgerEntry, Provenance
from shared.core.mapping import value_of
from shared.core.runs import WatermarkCursor
from shared.core.source import KeyStrategy, Row, SourceColumn, SourceKey, SourceType
from shared.settle.untold import is_untold, position_of
from shared.settle.work import Work, start

CHANGED = SourceColumn(name="changed", type=SourceType(name="timestamptz", declared="timestamptz"))
KEY = SourceKey(
    strategy=KeyStrategy.PRIMARY_KEY,
    columns=(SourceColumn(name="id", type=SourceType(name="int8", declared="bigint")),),
)
DEFINITION = cast(
    "SyncDefinition",
    SimpleNamespace(
        id=UUID(int=1),
        source=SimpleNamespace(cursor_column=CHANGED, instance_id=UUID(int=2), key=KEY),
        change_detection=ChangeDetection.WATERMARK,
        mapping_fingerprint=b"m",
        watermark_fingerprint=b"w",
    ),
)
POSITION = WatermarkCursor(value="2026-03-01 12:00:00+00", identity=None, fingerprint=b"w")
IDENTITY, NO = Identity('["1"]'), FieldNo(1)
AGREED, NOW = value_of("agreed"), value_of("now")
ENTRY = LedgerEntry(
    identity=IDENTITY,
    state=EntryState.SETTLED,
    source_instance_id=InstanceId(UUID(int=2)),
    stamp=Stamp(1),
    base={NO: AGREED.digest},
    mapping_fingerprint=b"m",
)
DOUBT = Intent(
    op=UUID(int=3),
    kind=IntentKind.UPDATE_ROW,
    digests={},
    guard=None,
    expires_at=datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=1),
)


def row(time: str = "2026-03-01 11:00:00+00", stamp: int = 2) -> Row:
    return Row(identity=IDENTITY, stamp=Stamp(stamp), version=RowVersion("7"), in_scope=True, values={"changed": time})


def work(entry: LedgerEntry | None = ENTRY, reasons: set[Reason] | None = None, **changes: Any) -> Work:
    claimed = Claimed(
        subject=RowSubject(identity=IDENTITY),
        number=MarkNumber(1),
        reasons=frozenset(reasons or {Reason.SCAN}),
        lane=Lane.PUSH,
        token=ClaimToken(UUID(int=4)),
        takeover=False,
        attempts=0,
    )
    made = replace(start(claimed, entry), row=row(), row_values={NO: NOW})
    return replace(made, **changes)


@pytest.mark.parametrize(
    "found",
    [work(), work(reasons={Reason.ITEM}), work(reasons={Reason.SCAN, Reason.BACKFILL}), work(None)],
    ids=["scan", "item", "asked for", "new"],
)
def test_a_row_that_changed_behind_the_position_and_that_no_pass_has_marked_is_untold(found: Work):
    assert is_untold(found, DEFINITION, POSITION)


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(work(row=row("2026-03-01 12:00:00.1+00")), id="changed after the last pass"),
        pytest.param(work(reasons={Reason.SCAN, Reason.WATERMARK}), id="marked by a pass"),
        pytest.param(work(reasons={Reason.SCAN, Reason.MAPPING}), id="a field was mapped"),
        pytest.param(work(reasons={Reason.SCAN, Reason.RETRY}), id="tried before"),
        pytest.param(work(reasons={Reason.SCAN, Reason.DOUBT}), id="written without an answer"),
        pytest.param(work(None, reasons={Reason.ITEM}), id="new with its item"),
        pytest.param(work(row_values={NO: AGREED}), id="another stamp of the same values"),
        pytest.param(work(row=row(stamp=1)), id="the same stamp"),
        pytest.param(work(replace(ENTRY, mapping_fingerprint=b"other")), id="agreed under other fields"),
        pytest.param(work(replace(ENTRY, state=EntryState.BOUND)), id="never agreed"),
        pytest.param(work(replace(ENTRY, intents=(DOUBT,))), id="a write of ours on record"),
        pytest.param(work(wrote_row=Provenance.PULL), id="just written"),
        pytest.param(work(row=None), id="gone"),
        pytest.param(work(row_values={}), id="out of scope"),
    ],
)
def test_whatever_else_makes_a_row_differ_is_no_reason_to_distrust_the_column(found: Work):
    assert not is_untold(found, DEFINITION, POSITION)
    assert not is_untold(work(), DEFINITION, None)


@pytest.mark.parametrize(("last", "expected"), [("1", True), ("2", True), ("0", False)])
def test_a_row_of_the_very_transaction_that_was_read_last_is_told_by_its_key(last: str, expected: bool):
    column = SourceColumn(name="changed", type=SourceType(name="xid8", declared="xid8"))
    source = SimpleNamespace(cursor_column=column, key=KEY)
    definition = cast("SyncDefinition", SimpleNamespace(source=source, mapping_fingerprint=b"m"))
    position = WatermarkCursor(value="700", identity=Identity(f'["{last}"]'), fingerprint=b"w")
    assert is_untold(work(row=row("700")), definition, position) is expected


@pytest.mark.parametrize(
    ("changes", "fingerprint", "expected"),
    [
        ({}, b"w", True),
        ({}, b"of another column", False),
        ({"change_detection": ChangeDetection.AUTO}, b"w", True),
        ({"change_detection": ChangeDetection.SCAN}, b"w", False),
        ({"source": SimpleNamespace(cursor_column=None, instance_id=UUID(int=2))}, b"w", False),
    ],
)
def test_a_position_counts_only_where_a_watermark_reads_this_column(changes, fingerprint, expected):
    kept = replace(POSITION, fingerprint=fingerprint)
    tools = SimpleNamespace(positions=SimpleNamespace(get_watermark=lambda *_: kept))
    definition = SimpleNamespace(**{**vars(DEFINITION), **changes})
    assert (position_of(cast("SyncDefinition", definition), cast("Any", tools)) == kept) is expected
