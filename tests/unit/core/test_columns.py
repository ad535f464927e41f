"""The table of types, the names of list columns, and what a draft's fields become."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.columns import (
    DEFAULTS,
    ONE_WAY_REASONS,
    PAIRS,
    REFUSALS,
    Carries,
    carries,
    default_kind,
    facet,
    one_way_reason,
    refusal,
    title_column,
)
from shared.core.definition import Direction, FieldKind, SyncMode
from shared.core.draft import DraftDefinition, DraftField
from shared.core.families import Family, family_of
from shared.core.list_columns import SYSTEM_COLUMNS, ListColumn, kind_of, list_column
from shared.core.naming import (
    SYNC_KEY_COLUMN,
    SYSTEM_DISPLAY_NAMES,
    SYSTEM_NAMES,
    display_names,
    internal_names,
    is_internal_name,
)
from shared.core.proposal import fields_of, propose_fields
from shared.core.snapshot import Constraint, ConstraintKind, Index, TableSnapshot
from shared.core.source import KeyStrategy, RelationKind, TableRef
from tests.unit.core.make import a_column, a_field, a_type

ENUM = a_type("mood", is_enum=True, enum_labels=("sad", "ok"))
TYPES = {
    "int2": FieldKind.NUMBER,
    "int4": FieldKind.NUMBER,
    "int8": FieldKind.NUMBER,
    "numeric": FieldKind.TEXT,
    "float4": FieldKind.NUMBER,
    "float8": FieldKind.NUMBER,
    "bool": FieldKind.BOOLEAN,
    "text": FieldKind.NOTE,
    "varchar": FieldKind.NOTE,
    "citext": FieldKind.NOTE,
    "name": FieldKind.TEXT,
    "bpchar": FieldKind.NOTE,
    "uuid": FieldKind.TEXT,
    "date": FieldKind.DATE,
    "time": FieldKind.TEXT,
    "timetz": FieldKind.TEXT,
    "timestamp": FieldKind.DATETIME,
    "timestamptz": FieldKind.DATETIME,
    "interval": FieldKind.TEXT,
    "json": FieldKind.NOTE,
    "jsonb": FieldKind.NOTE,
    "bytea": None,
    "money": FieldKind.NOTE,
    "point": FieldKind.NOTE,
}


@pytest.mark.parametrize("name", TYPES)
def test_every_type_has_the_default_that_the_table_says(name):
    assert default_kind(a_type(name)) is TYPES[name]


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        (a_type("varchar", length=255), FieldKind.TEXT),
        (a_type("varchar", length=256), FieldKind.NOTE),
        (a_type("bpchar", length=2), FieldKind.TEXT),
        (a_type("numeric", precision=15, scale=2), FieldKind.NUMBER),
        (a_type("numeric", precision=16, scale=2), FieldKind.TEXT),
        (ENUM, FieldKind.CHOICE),
        (a_type("text", is_array=True), FieldKind.NOTE),
        (a_type("mood", is_array=True, is_enum=True), FieldKind.MULTICHOICE),
        (a_type("float8", is_array=True), FieldKind.NOTE),
        (a_type("bytea", is_array=True), None),
    ],
)
def test_lengths_digits_and_elements_decide_the_default(declared, kind):
    assert default_kind(declared) is kind


@pytest.mark.parametrize(
    "declared",
    [a_type(name) for name in TYPES] + [ENUM, a_type("text", is_array=True), a_type("xml", is_array=True)],
    ids=str,
)
def test_a_default_column_carries_its_type_or_the_type_is_refused(declared):
    kind = default_kind(declared)
    if kind is None:
        assert all(carries(declared, any_kind) is None for any_kind in FieldKind)
        assert "bytes" in refusal(declared, FieldKind.TEXT)
    else:
        assert carries(declared, kind) in {Carries.BOTH, Carries.PUSH}


def test_every_family_has_its_pairs_and_every_pair_that_is_missing_its_reason():
    assert set(PAIRS) == set(Family)
    for kind in set(FieldKind) - {FieldKind.TEXT, FieldKind.NOTE, FieldKind.CHOICE}:
        assert kind in REFUSALS
    for family, pairs in PAIRS.items():
        assert family in ONE_WAY_REASONS or Carries.PUSH not in pairs.values()
    assert len({line.types for line in DEFAULTS}) == len(DEFAULTS)


def test_one_way_pairs_say_why_they_do_not_go_the_other_way():
    point, number = a_type("point"), a_type("int4")
    assert one_way_reason(point, FieldKind.NOTE, Direction.PUSH_ONLY) is None
    assert "text alone" in (one_way_reason(point, FieldKind.NOTE, Direction.BIDIRECTIONAL) or "")
    assert "SharePoint gives" in (one_way_reason(number, FieldKind.COUNTER, Direction.BIDIRECTIONAL) or "")
    assert one_way_reason(number, FieldKind.COUNTER, Direction.PULL_ONLY) is None
    assert refusal(a_type("text"), FieldKind.NUMBER) == "a number column holds numbers only"
    assert refusal(a_type("uuid"), FieldKind.NOTE) == "its values are of another shape"
    assert carries(a_type("float8", is_array=True), FieldKind.MULTICHOICE) is None


SIMPLE = [
    kind for kind in FieldKind if kind not in {FieldKind.LOOKUP, FieldKind.PERSON, FieldKind.COUNTER, FieldKind.UNKNOWN}
]


@pytest.mark.parametrize("kind", SIMPLE)
def test_a_column_made_from_a_facet_is_read_back_as_the_kind_it_was_made_for(kind):
    column = {"name": "Col", **facet(a_field(kind, choices=("a", "b")))}
    assert kind_of(column) is kind
    assert list_column(column).choices == (("a", "b") if "CHOICE" in kind else ())


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ({"name": "x", "lookup": {"listId": "l"}}, FieldKind.LOOKUP),
        ({"name": "x", "personOrGroup": {}}, FieldKind.PERSON),
        ({"name": "x"}, FieldKind.UNKNOWN),
        ({"name": "x", "calculated": {}}, FieldKind.UNKNOWN),
        ({"name": "x", "text": {"allowMultipleLines": True, "textType": "richText"}}, FieldKind.UNKNOWN),
        ({"name": "x", "text": {}}, FieldKind.TEXT),
        ({"name": "Modified", "dateTime": {}}, FieldKind.DATETIME),
        ({"name": "ID"}, FieldKind.COUNTER),
    ],
)
def test_graph_s_columns_are_told_apart_by_their_facets(column, kind):
    assert kind_of(column) is kind


def test_whole_numbers_are_shown_without_decimal_places():
    assert facet(a_field(FieldKind.NUMBER, "int4"))["number"] == {"decimalPlaces": "none"}
    assert facet(a_field(FieldKind.NUMBER, "float8"))["number"] == {"decimalPlaces": "automatic"}


def test_a_column_s_flags_are_read_from_graph_and_default_to_false():
    assert list_column({"name": "x", "text": {"maxLength": 50}}) == ListColumn(
        name="x", display_name="x", kind=FieldKind.TEXT, max_length=50
    )
    full = list_column(
        {"name": "x", "displayName": "X", "readOnly": True, "hidden": True, "indexed": True, "enforceUniqueValues": True,
         "required": True, "lookup": {"allowMultipleValues": True}}
    )  # fmt: skip
    assert full == ListColumn(
        name="x",
        display_name="X",
        kind=FieldKind.LOOKUP,
        read_only=True,
        hidden=True,
        indexed=True,
        unique=True,
        required=True,
        multiple=True,
    )
    assert list_column({"name": "x", "choice": {"allowTextEntry": True, "choices": ["a"]}}).choices == ()


identifiers = st.lists(
    st.one_of(
        st.text(max_size=70),
        st.sampled_from(
            [
                "Id",
                "title",
                "AUTHOR",
                "order total",
                "_x0020_",
                "a_x0041_b",
                "customerLookupId",
                "1st",
                "___",
                "größe",
                "日本語",
                "SyncBridgeKey",
                "x" * 40,
                "x" * 63,
            ]
        ),
        st.from_regex(r"[a-z]{30,40}", fullmatch=True),
    ),
    max_size=12,
    unique=True,
)


@given(identifiers, st.lists(st.sampled_from(["col", "Order_Total", "c_1st", "x" * 32]), max_size=3))
def test_internal_names_are_names_that_sharepoint_keeps_and_nobody_has(columns, taken):
    names = internal_names(columns, taken)
    lowered = [name.lower() for name in names.values()]
    assert list(names) == columns
    assert len(set(lowered)) == len(lowered)
    assert not set(lowered) & (SYSTEM_NAMES | {SYNC_KEY_COLUMN.lower()} | {name.lower() for name in taken})
    for name in names.values():
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,31}", name)
        assert is_internal_name(name)
        assert not name.lower().endswith("lookupid")


@given(identifiers)
def test_the_same_columns_get_the_same_names(columns):
    assert internal_names(columns) == internal_names(columns)


def test_names_stay_readable_where_they_can():
    assert internal_names(["order_total", "größe", "Id", "1st", "", "a b"]) == {
        "order_total": "order_total", "größe": "groe", "Id": "Id_col", "1st": "c_1st", "": "c", "a b": "a_b",
    }  # fmt: skip
    long = internal_names(["a" * 40 + "1", "a" * 40 + "2"])
    assert len({name[:25] for name in long.values()}) == 1
    assert len(set(long.values())) == 2


@pytest.mark.parametrize("name", ["1a", "_a", "a-b", "a b", "", "ä", "a" * 33, "a_x0020_b"])
def test_a_name_that_sharepoint_would_change_is_no_internal_name(name):
    assert not is_internal_name(name)


@given(identifiers)
def test_display_names_are_distinct_short_and_none_of_sharepoint_s(columns):
    names = display_names(columns)
    lowered = [name.lower() for name in names.values()]
    assert len(set(lowered)) == len(lowered)
    assert not set(lowered) & SYSTEM_DISPLAY_NAMES
    assert all(0 < len(name) <= 255 and name.isprintable() for name in names.values())


def test_display_names_read_like_words():
    assert display_names(["order_total", "id", "Created", "x", "X"]) == {
        "order_total": "Order total", "id": "Id (source)", "Created": "Created (source)", "x": "X", "X": "X (source)",
    }  # fmt: skip
    assert display_names(["a", "A", "_a"]) == {"a": "A", "A": "A (source)", "_a": "A (2)"}


def a_table(*columns, key=("id",), kind=RelationKind.TABLE, **more):
    constraints = (Constraint(name="pk", kind=ConstraintKind.PRIMARY_KEY, columns=key),) if key else ()
    return TableSnapshot(
        table=TableRef(schema="app", name="tasks"),
        kind=kind,
        columns=columns,
        constraints=constraints + more.pop("constraints", ()),
        **more,
    )


ID = a_column("id", "int4", nullable=False)
NAME = a_column("name", a_type("varchar", length=80))


def test_the_title_is_the_first_line_of_text_or_else_the_key():
    assert title_column([ID, a_column("body", "text"), NAME], ["id"]) == NAME
    assert title_column([ID, a_column("body", "text")], ["id"]) == ID
    assert title_column([a_column("raw", "bytea")], ["raw"]) is None


def test_a_proposal_maps_every_column_that_a_list_can_keep():
    table = a_table(ID, NAME, a_column("raw", "bytea"), a_column("born", "date"))
    assert [(f.source_column_name, f.target_column_name, f.kind) for f in propose_fields(a_draft(), table)] == [
        ("name", "Title", FieldKind.TEXT),
        ("id", None, FieldKind.NUMBER),
        ("born", None, FieldKind.DATE),
    ]


def test_a_key_that_is_the_title_keeps_a_column_of_its_own_kind():
    fields = propose_fields(a_draft(), a_table(ID))
    assert [(f.target_column_name, f.kind) for f in fields] == [("Title", FieldKind.TEXT), (None, FieldKind.NUMBER)]


def test_a_table_without_a_title_is_proposed_without_one():
    assert [f.target_column_name for f in propose_fields(a_draft(), a_table(a_column("doc", "jsonb"), key=()))] == [
        None
    ]


def a_draft(*fields, mode=SyncMode.TWO_WAY, **more):
    return DraftDefinition(name="tasks", key_strategy=KeyStrategy.PRIMARY_KEY, fields=fields, mode=mode, **more)


def test_what_a_draft_leaves_open_comes_from_the_table_and_the_list():
    table = a_table(
        ID,
        NAME,
        a_column("mood", ENUM),
        a_column("area", a_type("point")),
        a_column("at", "timestamptz"),
        a_column("raw", "bytea"),
    )
    columns = [ListColumn(name="Mood1", display_name="Mood", kind=FieldKind.CHOICE, choices=("sad", "ok", "new"))]
    draft = a_draft(
        DraftField(source_column_name="name", target_column_name="Title"),
        DraftField(source_column_name="mood", target_column_name="Mood1"),
        DraftField(source_column_name="mood", target_display_name="Feeling"),
        DraftField(source_column_name="area"),
        DraftField(source_column_name="at", target_column_name="Modified"),
        DraftField(source_column_name="raw"),
        DraftField(source_column_name="gone"),
        DraftField(source_column_name="id", no=4),
    )
    found = [
        (
            f.no,
            f.target_column_name,
            f.target_display_name,
            f.kind.value,
            f.direction.value,
            f.is_system_field,
            f.choices,
        )
        for f in fields_of(draft, table, columns, next_no=7)
    ]
    assert found == [
        (7, "Title", "Name", "TEXT", "BIDIRECTIONAL", False, ()),
        (8, "Mood1", "Mood", "CHOICE", "BIDIRECTIONAL", False, ("sad", "ok", "new")),
        (9, "mood", "Feeling", "CHOICE", "BIDIRECTIONAL", False, ("sad", "ok")),
        (10, "area", "Area", "NOTE", "PUSH_ONLY", False, ()),
        (11, "Modified", "At", "DATETIME", "PULL_ONLY", True, ()),
        (4, "id_col", "Id (source)", "NUMBER", "BIDIRECTIONAL", False, ()),
    ]


@pytest.mark.parametrize(
    ("mode", "direction"),
    [
        (SyncMode.ONE_WAY_PUSH, Direction.PUSH_ONLY),
        (SyncMode.ONE_WAY_PULL, Direction.PULL_ONLY),
        (SyncMode.TWO_WAY, Direction.BIDIRECTIONAL),
    ],
)
def test_the_mode_suggests_the_direction(mode, direction):
    (field,) = fields_of(a_draft(DraftField(source_column_name="name"), mode=mode), a_table(ID, NAME))
    assert field.direction is direction


def test_choices_of_a_draft_come_before_those_of_its_type():
    table = a_table(ID, a_column("tags", a_type("text", is_array=True)))
    tags = DraftField(source_column_name="tags", kind=FieldKind.MULTICHOICE)
    (field,) = fields_of(a_draft(replace(tags, choices=("x",))), table)
    assert field.choices == ("x",)
    (field,) = fields_of(a_draft(tags), table)
    assert field.choices == ()


def test_an_array_whose_choices_nobody_named_is_text_that_is_only_pushed():
    table = a_table(ID, a_column("tags", a_type("text", is_array=True)))
    (field,) = fields_of(a_draft(DraftField(source_column_name="tags")), table)
    assert (field.kind, field.direction) == (FieldKind.NOTE, Direction.PUSH_ONLY)


def test_system_columns_are_those_that_sharepoint_writes():
    assert set(SYSTEM_COLUMNS) == {"ID", "Created", "Modified", "Author", "Editor", "_UIVersionString"}


def test_a_snapshot_tells_what_the_database_keeps_unique_and_indexed():
    table = a_table(
        ID,
        constraints=(Constraint(name="u", kind=ConstraintKind.UNIQUE, columns=("a", "b")),),
        indexes=(
            Index(name="i1", columns=("c",), unique=True),
            Index(name="i2", columns=("d",), unique=True, partial=True),
            Index(name="i3", columns=(None,), unique=True),
            Index(name="i4", columns=("e",), unique=True, valid=False),
            Index(name="i5", columns=("at", "id")),
            Index(name="i6", columns=("h",), method="hash"),
            Index(name="i7", columns=("a", "b"), unique=True),
        ),
    )
    assert table.unique_sets() == (("id",), ("a", "b"), ("c",))
    assert table.is_unique(["x", "c"])
    assert table.is_unique(["b", "a"])
    assert not table.is_unique(["a"])
    assert not table.is_unique(["d", "e"])
    assert table.index_leading_with(["at"]) is table.indexes[4]
    assert [table.index_leading_with([name]) for name in ("id", "h", "d", "e")] == [None] * 4
    assert table.column("id") is ID
    assert table.column("nope") is None
    assert a_table(ID, key=()).primary_key == ()


@given(st.sampled_from(list(TYPES)), st.booleans(), st.booleans())
def test_every_type_is_in_one_family_and_arrays_in_their_own(name, is_array, is_enum):
    family = family_of(a_type(name, is_array=is_array, is_enum=is_enum))
    assert (family is Family.ARRAY) == is_array
    assert is_array or (family is Family.ENUM) == is_enum
