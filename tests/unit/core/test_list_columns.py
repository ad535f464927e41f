"""What a list's columns are, against what a definition's fields say of them."""

from shared.core.definition import FieldKind, FieldMapping
from shared.core.ids import FieldNo
from shared.core.list_columns import ListColumn, differences
from shared.core.source import SourceColumn, SourceType


def field(name: str, kind: FieldKind, *, system: bool = False) -> FieldMapping:
    return FieldMapping(
        no=FieldNo(1),
        source=SourceColumn(name="a", type=SourceType(name="text", declared="text")),
        target_column_name=name,
        target_display_name="Shown",
        kind=kind,
        is_system_field=system,
    )


def column(name: str, kind: FieldKind) -> ListColumn:
    return ListColumn(name=name, display_name="Renamed by people", kind=kind)


def test_a_column_of_the_same_name_and_kind_is_the_same_whatever_people_call_it():
    assert differences([field("city", FieldKind.TEXT)], [column("city", FieldKind.TEXT)]) == ()


def test_a_column_that_is_not_there_is_named():
    assert differences([field("city", FieldKind.TEXT)], [column("town", FieldKind.TEXT)]) == (
        "The list has no column city any more.",
    )


def test_a_column_of_another_kind_is_named_with_both_kinds():
    assert differences([field("age", FieldKind.NUMBER)], [column("age", FieldKind.TEXT)]) == (
        "The list's column age is of the kind TEXT now; the definition says NUMBER.",
    )


def test_what_sharepoint_writes_itself_is_always_there():
    assert differences([field("Modified", FieldKind.DATETIME, system=True)], []) == ()
