from dataclasses import replace

import pytest

from shared.core.definition import Direction, FieldKind
from shared.core.digests import digest
from shared.core.errors import InvariantViolated, Unrepresentable
from shared.core.ids import ETag, Identity, ItemId, RowVersion, Stamp
from shared.core.items import Item
from shared.core.mapping import Value, item_values, mapping_fingerprint, row_values, scope_fingerprint, value_of
from shared.core.scope_text import parse
from shared.core.source import KeyStrategy, Row, SourceKey
from tests.unit.core.make import a_column, a_field, a_type

NAME = a_field(FieldKind.TEXT, no=1, name="name", target="Title", display="Name")
DONE = a_field(FieldKind.BOOLEAN, "bool", no=2, name="done", target="Done", display="Done")
BORN = a_field(FieldKind.DATE, "date", no=7, name="born", target="Born", display="Born")
FIELDS = (NAME, DONE, BORN)


def a_row(**values):
    return Row(identity=Identity('["1"]'), stamp=Stamp(1), version=RowVersion("1"), in_scope=True, values=values)


def an_item(**fields):
    return Item(id=ItemId(1), etag=ETag('"e"'), sync_key=None, fields=fields)


def test_a_row_and_its_item_have_the_same_values_by_field_number():
    row = row_values(FIELDS, a_row(name="Ada", done="true", born="2026-03-01", unmapped="x"))
    item = item_values(FIELDS, an_item(Title="Ada", Done=True, Born="2026-02-28T23:00:00Z"), "Europe/Berlin")
    assert row == item == {1: value_of("Ada"), 2: value_of(True), 7: value_of("2026-03-01")}


def test_a_value_carries_its_digest_and_keeps_itself_out_of_reprs():
    value = value_of("secret")
    assert value == Value(canonical="secret", digest=digest("secret"))
    assert "secret" not in repr(value)


def test_columns_that_are_absent_from_an_item_have_no_value():
    assert item_values(FIELDS, an_item(), "UTC") == {no: value_of(None) for no in (1, 2, 7)}


def test_one_column_that_does_not_fit_is_named_with_its_type():
    with pytest.raises(Unrepresentable, match=r"^name \(text\) holds a value") as caught:
        row_values(FIELDS, a_row(name="x" * 256, done="true", born=None))
    assert caught.value.field == "name"
    assert "xxx" not in caught.value.message


def test_all_columns_that_do_not_fit_are_named_at_once():
    with pytest.raises(Unrepresentable) as caught:
        row_values(FIELDS, a_row(name="x" * 256, done=None, born="infinity"))
    assert "name (text)" in caught.value.message
    assert "born (date)" in caught.value.message
    assert caught.value.field == "name"


def test_a_row_that_was_read_without_a_mapped_column_is_a_bug():
    with pytest.raises(InvariantViolated, match="done"):
        row_values(FIELDS, a_row(name="Ada", born=None))


def test_the_mapping_fingerprint_does_not_depend_on_the_order_of_fields():
    assert mapping_fingerprint(FIELDS, "UTC") == mapping_fingerprint(FIELDS[::-1], "UTC")


@pytest.mark.parametrize(
    "changed",
    [
        {"target_column_name": "Other"},
        {"kind": FieldKind.NOTE},
        {"direction": Direction.PUSH_ONLY},
        {"group": "g"},
        {"transform_rule": "upper"},
        {"no": 9},
        {"source": a_column("other")},
        {"source": a_column("name", a_type("varchar", length=9))},
        {"source": a_column("name", nullable=False)},
    ],
    ids=str,
)
def test_whatever_decides_an_item_s_values_changes_the_mapping_fingerprint(changed):
    assert mapping_fingerprint([replace(NAME, **changed), DONE, BORN], "UTC") != mapping_fingerprint(FIELDS, "UTC")


@pytest.mark.parametrize(
    "changed", [{"target_display_name": "Other"}, {"choices": ("a",)}, {"required": True}, {"indexed": True}], ids=str
)
def test_what_changes_no_value_leaves_the_mapping_fingerprint_alone(changed):
    assert mapping_fingerprint([replace(NAME, **changed), DONE, BORN], "UTC") == mapping_fingerprint(FIELDS, "UTC")


def test_the_site_s_zone_is_part_of_the_mapping_fingerprint():
    assert mapping_fingerprint(FIELDS, "Europe/Berlin") != mapping_fingerprint(FIELDS, "UTC")


def test_the_scope_fingerprint_changes_with_key_filter_and_soft_delete_column_only():
    key = SourceKey(strategy=KeyStrategy.PRIMARY_KEY, columns=(a_column("id", "int4"),))
    plain = scope_fingerprint(key, None, None)
    assert len(plain) == 16
    assert scope_fingerprint(key, parse("a = 1"), None) == scope_fingerprint(key, parse("(A  =  1)"), None) != plain
    assert scope_fingerprint(key, None, a_column("gone", "bool")) != plain
    assert scope_fingerprint(replace(key, strategy=KeyStrategy.UNIQUE), None, None) != plain
    assert scope_fingerprint(replace(key, columns=(a_column("id", "int8"),)), None, None) != plain
