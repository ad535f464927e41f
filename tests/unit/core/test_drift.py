"""What of a table is not any more what a definition was made for: which fields pause, and what stops the whole of it."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from shared.core.definition import DefinitionState, Direction, SyncMode
from shared.core.draft import DraftDefinition
from shared.core.drift import Drift, adjusted, alike, drift_of, moved
from shared.core.ids import ConnectionId, DefinitionId, InstanceId, SiteId
from shared.core.paused import Pause
from shared.core.record import DefinitionRecord, TargetRecord, preview
from shared.core.snapshot import TableSnapshot
from shared.core.source import KeyStrategy, RelationKind, SourceColumn, SourceKey, TableRef
from tests.unit.core.make import a_column, a_field, a_type

AT = datetime(2026, 1, 1, tzinfo=UTC)
TABLE = TableRef(schema="app", name="orders")
ID, NAME, QTY = a_column("id", "int4", position=1), a_column("name", position=2), a_column("qty", "numeric", position=3)
SEEN, REGION = a_column("u", "timestamptz", position=4), a_column("region", position=5)
ALL = (ID, NAME, QTY, SEEN, REGION)
DRAFT = DraftDefinition(
    name="orders",
    key_strategy=KeyStrategy.PRIMARY_KEY,
    fields=(),
    mode=SyncMode.TWO_WAY,
    cursor_column="u",
    row_filter="region = 'eu'",
)


def mapped(no: int, column: SourceColumn, **more):
    return replace(a_field(no=no, name=column.name, target=column.name.upper()), source=column, **more)


RECORD = DefinitionRecord(
    id=DefinitionId(UUID(int=1)),
    version=1,
    state=DefinitionState.ACTIVE,
    instance_id=InstanceId(UUID(int=2)),
    table=TABLE,
    relation=RelationKind.TABLE,
    draft=DRAFT,
    key=SourceKey(strategy=KeyStrategy.PRIMARY_KEY, columns=(ID,)),
    fields=(mapped(1, ID), mapped(2, NAME), mapped(3, QTY)),
    cursor_column=SEEN,
    next_field_no=4,
    target=TargetRecord(connection_id=ConnectionId(UUID(int=3)), site_id=SiteId("s"), list_name="Orders"),
)


def now(*columns: SourceColumn) -> TableSnapshot:
    return TableSnapshot(table=TABLE, kind=RelationKind.TABLE, columns=columns)


def other(column: SourceColumn, **changes) -> tuple[SourceColumn, ...]:
    return tuple(replace(one, **changes) if one.name == column.name else one for one in ALL)


def paused(record: DefinitionRecord, *columns: SourceColumn) -> DefinitionRecord:
    snapshot = now(*columns)
    return adjusted(record, drift_of(record, snapshot), snapshot, at=AT, seen_by="run")


def reasons(record: DefinitionRecord) -> dict[str, str]:
    return {mapping.source.name: mapping.paused.reason for mapping in record.fields if mapping.paused}


def test_a_table_that_only_gained_columns_has_not_drifted():
    assert drift_of(RECORD, now(*ALL, a_column("more", position=9))) == Drift()


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (other(ID, type=a_type("int8")), "the column id was int4 and is int8 now"),
        ((ID, NAME, QTY, REGION), "the column u is gone"),
        (other(SEEN, type=a_type("timestamp")), "the column u was timestamptz and is timestamp now"),
        ((ID, NAME, QTY, SEEN), "the column region of the row filter is gone"),
        (other(ID, position=6), "the column id is there, but it is another one, made anew"),
        (other(SEEN, position=6), "the column u is there, but it is another one, made anew"),
    ],
)
def test_a_column_that_says_which_rows_are_meant_stops_the_whole_definition(columns, said):
    drift = drift_of(RECORD, now(*columns))
    assert any(said in sentence for sentence in drift.whole)
    assert drift.fields == {}
    assert adjusted(RECORD, drift, now(*columns), at=AT, seen_by="run") == RECORD


def test_a_mapped_column_of_the_row_filter_stops_the_whole_definition_when_it_is_retyped():
    record = replace(RECORD, fields=(*RECORD.fields, mapped(4, REGION)))
    assert drift_of(record, now(*other(REGION, type=a_type("int4")))).whole == (
        "the column region was text and is int4 now",
    )


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ((ID, NAME, SEEN, REGION), "the column qty is gone"),
        (other(QTY, name="amount"), "the column qty is gone, or has another name"),
        (other(QTY, type=a_type("text")), "the column qty was numeric and is text now"),
        (other(QTY, type=a_type("numeric", is_array=True)), "the column qty was numeric"),
    ],
)
def test_a_column_that_is_gone_renamed_or_of_another_kind_pauses_its_field_alone(columns, said):
    found = paused(RECORD, *columns)
    assert list(reasons(found)) == ["qty"]
    assert said in reasons(found)["qty"]
    assert [column.name for column in preview(found).source.columns] == ["id", "name"]
    assert preview(found).paused == {3}


def test_a_field_goes_on_once_its_column_is_as_it_was():
    gone = paused(RECORD, ID, NAME, SEEN, REGION)
    assert paused(gone, *ALL) == RECORD


def test_a_pause_keeps_since_when_it_is_whoever_looks_again():
    gone = paused(RECORD, ID, NAME, SEEN, REGION)
    retyped = now(*other(QTY, type=a_type("text")))
    again = adjusted(gone, drift_of(gone, retyped), retyped, at=AT.replace(year=2027), seen_by="stream")
    [pause] = [mapping.paused for mapping in again.fields if mapping.paused]
    assert pause == Pause(reason="the column qty was numeric and is text now", since=AT, seen_by="run")


def test_a_column_that_was_made_anew_stays_paused():
    gone = paused(RECORD, ID, NAME, SEEN, REGION)
    drift = drift_of(gone, now(*other(QTY, position=9)))
    assert drift.anew == {3}
    assert "made anew" in drift.fields[3]


def test_a_column_that_was_dropped_and_made_anew_before_anybody_looked_pauses_its_field():
    """It is empty, and every row would empty its item."""
    drift = drift_of(RECORD, now(*other(NAME, position=6)))
    assert drift.anew == {2}
    assert "made anew" in drift.fields[2]
    assert list(reasons(paused(RECORD, *other(NAME, position=6)))) == ["name"]


@pytest.mark.parametrize(
    "columns",
    [ALL, other(NAME, position=6), other(QTY, type=a_type("text")), (ID, NAME, SEEN, REGION), other(SEEN, position=6)],
)
def test_whoever_reads_rows_sees_what_whoever_looks_at_the_definition_sees(columns):
    said, drift = moved(preview(RECORD).source, now(*columns)), drift_of(RECORD, now(*columns))
    assert {said} - {None} == {*drift.whole, *drift.fields.values()}


def test_a_column_that_was_made_anew_with_another_type_counts_as_made_anew_too():
    drift = drift_of(RECORD, now(*other(NAME, position=6, type=a_type("int4"))))
    assert drift.anew == {2}
    assert drift.fields == {2: "the column name was text and is int4 now"}


def test_columns_that_were_made_anew_are_known_where_the_whole_definition_stops():
    """Whoever saves it again must not take them for what was agreed on."""
    all_anew = now(ID, SEEN, REGION, replace(NAME, position=6), replace(QTY, position=7))
    without_filter = now(*(one for one in other(NAME, position=6) if one.name != "region"))
    assert [drift_of(RECORD, columns).anew for columns in (all_anew, without_filter)] == [{2, 3}, {2}]
    assert all(drift_of(RECORD, columns).whole for columns in (all_anew, without_filter))


@pytest.mark.parametrize("kind", [RelationKind.VIEW, RelationKind.MATERIALIZED_VIEW, RelationKind.FOREIGN_TABLE])
def test_columns_of_what_keeps_no_values_of_its_own_may_come_in_any_order(kind: RelationKind):
    assert drift_of(RECORD, replace(now(*other(NAME, position=6)), kind=kind)) == Drift()


def test_columns_that_are_numbered_anew_by_a_restored_database_pause_nothing():
    assert drift_of(RECORD, now(*(replace(column, position=column.position + 7) for column in ALL))) == Drift()
    behind_a_gap = [mapped(2, replace(NAME, position=3)), mapped(3, replace(QTY, position=4))]
    assert drift_of(replace(RECORD, fields=(RECORD.fields[0], *behind_a_gap)), now(*ALL)) == Drift()


def test_a_column_that_is_made_anew_in_a_restored_database_pauses_its_field_all_the_same():
    numbered_anew = tuple(replace(column, position=column.position + 7) for column in ALL)
    restored = paused(RECORD, *numbered_anew)
    assert reasons(restored) == {}
    drift = drift_of(restored, now(*(replace(one, position=20) if one.name == "qty" else one for one in numbered_anew)))
    assert drift.anew == {3}


def test_the_fields_of_a_group_pause_together():
    grouped = tuple(replace(mapping, group=None if mapping.no == 1 else "g") for mapping in RECORD.fields)
    record = replace(RECORD, fields=(*grouped, mapped(4, a_column("note", position=6))))
    found = reasons(paused(record, ID, NAME, SEEN, REGION, a_column("note", position=6)))
    assert set(found) == {"name", "qty"}
    assert "its group g is one value" in found["name"]


def test_a_definition_without_any_field_left_stops_as_a_whole():
    said = drift_of(RECORD, now(ID, SEEN, REGION)).whole
    assert [sentence.split(" is ")[0] for sentence in said] == ["the column name", "the column qty"]


def test_a_field_that_takes_no_part_in_the_mode_is_not_looked_at():
    pulled = tuple(
        replace(mapping, direction=Direction.PULL_ONLY) if mapping.no == 3 else mapping for mapping in RECORD.fields
    )
    record = replace(RECORD, fields=pulled, draft=replace(DRAFT, mode=SyncMode.ONE_WAY_PUSH))
    assert drift_of(record, now(ID, NAME, SEEN, REGION)) == Drift()


@pytest.mark.parametrize(
    ("was", "is_now", "same"),
    [
        (a_type("int8"), a_type("int2"), True),
        (a_type("text"), a_type("varchar", length=5), True),
        (a_type("int4"), a_type("numeric"), False),
        (a_type("timestamp"), a_type("timestamptz"), False),
        (a_type("mood", is_enum=True), a_type("mood", is_enum=True), True),
        (a_type("mood", is_enum=True), a_type("state", is_enum=True), False),
        (a_type("money"), a_type("xml"), False),
        (a_type("text"), a_type("text", is_array=True), False),
    ],
)
def test_types_of_one_family_travel_alike(was, is_now, same):
    assert alike(was, is_now) is same


def test_a_pause_is_part_of_what_agreements_and_positions_are_made_under():
    gone = preview(paused(RECORD, ID, NAME, SEEN, REGION))
    whole = preview(RECORD)
    assert gone.mapping_fingerprint != whole.mapping_fingerprint
    assert gone.watermark_fingerprint != whole.watermark_fingerprint
    assert gone.scope_fingerprint == whole.scope_fingerprint
