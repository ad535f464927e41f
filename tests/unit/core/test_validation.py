"""Every problem of a draft, each with its code, where it is, and what to do."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core.definition import (
    ChangeDetection,
    ConflictPolicy,
    DeletePolicy,
    Direction,
    FieldKind,
    ForeignPolicy,
    GuardSettings,
    SyncMode,
)
from shared.core.draft import DraftDefinition, DraftField
from shared.core.list_columns import ListColumn
from shared.core.problems import Severity
from shared.core.proposal import fields_of
from shared.core.snapshot import Constraint, ConstraintKind, Index, RowSecurity, TableSnapshot
from shared.core.source import KeyStrategy, RelationKind, TableRef
from shared.core.validation import validate
from tests.unit.core.make import a_column, a_type

MOOD = a_type("mood", is_enum=True, enum_labels=("sad", "ok"))
COLUMNS = (
    a_column("id", "int4", nullable=False),
    a_column("name", a_type("varchar", length=80)),
    a_column("body", "text"),
    a_column("mood", MOOD),
    a_column("amount", a_type("numeric", precision=10, scale=2), nullable=False),
    a_column("owner", "int4"),
    a_column("changed", "timestamptz", nullable=False),
    a_column("local", "timestamp"),
    a_column("gone", "bool", nullable=False),
    a_column("total", "numeric", generated=True),
    a_column("serial", "int8", identity=True),
    a_column("hidden", "bool", generated=True),
    a_column("raw", "bytea"),
    a_column("area", "point"),
    a_column("tags", a_type("text", is_array=True, declared="text[]")),
)
PK = Constraint(name="pk", kind=ConstraintKind.PRIMARY_KEY, columns=("id",))
TABLE = TableSnapshot(
    table=TableRef(schema="app", name="tasks"),
    kind=RelationKind.TABLE,
    columns=COLUMNS,
    constraints=(PK, Constraint(name="u", kind=ConstraintKind.UNIQUE, columns=("changed", "id"))),
    indexes=(Index(name="i", columns=("changed", "id")),),
)
NAME = DraftField(source_column_name="name")
ALL_FILLED = tuple(DraftField(source_column_name=name) for name in ("id", "amount", "changed", "gone"))
GOOD = DraftDefinition(name="tasks", key_strategy=KeyStrategy.PRIMARY_KEY, fields=(NAME,))
PULL = replace(GOOD, mode=SyncMode.ONE_WAY_PULL, foreign_items=ForeignPolicy.INSERT, fields=ALL_FILLED)
TWO_WAY = replace(GOOD, mode=SyncMode.TWO_WAY, foreign_items=ForeignPolicy.IGNORE)


def codes(draft, table=TABLE, columns=()):
    return {problem.code for problem in validate(draft, table, columns)}


def only(draft, table=TABLE, columns=()):
    (problem,) = validate(draft, table, columns)
    return problem


def field(column, **more):
    return DraftField(source_column_name=column, **more)


def with_column(*columns, key=("id",), **more):
    constraints = (replace(PK, columns=key),) if key else ()
    return replace(TABLE, columns=(*columns, *COLUMNS[1:]), constraints=constraints, **more)


def test_a_draft_that_can_work_has_no_problems():
    assert validate(GOOD, TABLE) == ()
    full = replace(
        TWO_WAY,
        fields=(
            field("name", target_column_name="Title"),
            field("mood"),
            field("owner", target_column_name="Editor"),
            field("changed", direction=Direction.PUSH_ONLY),
        ),
        row_filter="name is not null",
        soft_delete_column="gone",
        cursor_column="changed",
        change_detection=ChangeDetection.WATERMARK,
        conflict_policy=ConflictPolicy.LATEST_WINS,
        schedule="0 6 * * mon-fri",
        schedule_zone="Europe/Berlin",
        item_deleted=DeletePolicy.PROPAGATE,
    )
    assert validate(full, TABLE) == ()


def test_all_problems_come_at_once():
    draft = replace(
        GOOD, name=" ", schedule="x", row_filter="a", cursor_column="zip", fields=(field("zap"), field("raw"))
    )
    assert codes(draft) == {"name", "schedule", "scope_syntax", "unknown_column", "type_refused"}


@pytest.mark.parametrize(
    ("draft", "code", "where", "said"),
    [
        (replace(GOOD, name="x" * 201), "name", "name", "200"),
        (replace(GOOD, site_zone="Mars"), "time_zone", "site_zone", "Europe/Berlin"),
        (replace(GOOD, schedule_zone="Mars"), "time_zone", "schedule_zone", "Europe/Berlin"),
        (replace(GOOD, settle_concurrency=9), "concurrency", "settle_concurrency", "1 to 8"),
        (replace(GOOD, debounce=timedelta(days=2)), "debounce", "debounce", "a day"),
        (replace(GOOD, guards=GuardSettings(max_delete_share=1.5)), "guard", "guards.max_delete_share", "0 to 1"),
        (replace(GOOD, guards=GuardSettings(max_writes_per_row=0)), "guard", "guards.max_writes_per_row", "1 or more"),
        (replace(GOOD, guards=GuardSettings(loop_window=timedelta(0))), "guard", "guards.loop_window", "longer"),
        (replace(GOOD, row_filter="nam = 'x'"), "scope_unknown_column", "scope", "did you mean name?"),
        (replace(GOOD, soft_delete_column="gon"), "unknown_column", "soft_delete_column", "did you mean gone?"),
        (replace(GOOD, soft_delete_column="name"), "soft_delete_type", "soft_delete_column", "boolean"),
        (replace(GOOD, soft_delete_column="changed"), "soft_delete_type", "soft_delete_column", "NOT NULL"),
        (replace(GOOD, change_detection=ChangeDetection.WATERMARK), "cursor_missing", "cursor_column", "SCAN or AUTO"),
        (replace(GOOD, conflict_policy=ConflictPolicy.LATEST_WINS), "latest_wins", "conflict_policy", "cursor_column"),
        (replace(GOOD, item_deleted=DeletePolicy.PROPAGATE), "one_way_delete", "item_deleted", "TWO_WAY"),
        (replace(GOOD, foreign_items=ForeignPolicy.INSERT), "one_way_insert", "foreign_items", "IGNORE"),
        (replace(TWO_WAY, fields=(field("name"), field("id")), foreign_items=ForeignPolicy.INSERT), "insert_not_null", "foreign_items", "amount, changed, gone"),
        (replace(GOOD, row_deleted=DeletePolicy.RECREATE), "one_way_recreate", "row_deleted", "TWO_WAY"),
        (replace(PULL, item_deleted=DeletePolicy.RECREATE), "one_way_recreate", "item_deleted", "TWO_WAY"),
        (replace(PULL, row_deleted=DeletePolicy.PROPAGATE), "one_way_delete", "row_deleted", "TWO_WAY"),
        (replace(TWO_WAY, fields=(NAME, field("id", direction=Direction.PULL_ONLY))), "key_pull_only", "fields.id", "BIDIRECTIONAL"),
        (replace(TWO_WAY, fields=(NAME, field("serial", direction=Direction.BIDIRECTIONAL))), "identity_pulled", "fields.serial", "sequence"),
        (replace(TWO_WAY, fields=(NAME, field("changed", direction=Direction.PULL_ONLY)), cursor_column="changed"), "cursor_pulled", "cursor_column", "PUSH_ONLY"),
        (replace(TWO_WAY, fields=(NAME,), soft_delete_column="hidden"), "soft_delete_generated", "soft_delete_column", "generated"),
        (replace(TWO_WAY, fields=(NAME, field("id", group="g"), field("owner", group="g", direction=Direction.PUSH_ONLY))), "group_key", "fields", "out of the group"),
        (replace(GOOD, fields=()), "no_fields", "fields", "at least one"),
        (replace(GOOD, fields=(field("raw"),)), "type_refused", "fields.raw", "bytes"),
        (replace(GOOD, fields=(field("raw", kind=FieldKind.TEXT),)), "type_pair", "fields.raw", "bytes"),
        (replace(GOOD, fields=(field("name", kind=FieldKind.NUMBER),)), "type_pair", "fields.name", "numbers only"),
        (replace(TWO_WAY, fields=(field("area", direction=Direction.BIDIRECTIONAL),)), "type_direction", "fields.area", "only pushed"),
        (replace(TWO_WAY, fields=(field("changed", target_column_name="Created", direction=Direction.BIDIRECTIONAL),)), "system_field", "fields.changed", "PULL_ONLY"),
        (replace(GOOD, fields=(field("local", target_column_name="Created"),)), "mode_direction", "fields.local", "ONE_WAY_PUSH"),
        (replace(TWO_WAY, fields=(field("total", direction=Direction.PULL_ONLY, kind=FieldKind.NUMBER),)), "generated_pulled", "fields.total", "PUSH_ONLY"),
        (replace(TWO_WAY, fields=(NAME, field("id", direction=Direction.PUSH_ONLY, target_column_name="SyncBridgeKey", kind=FieldKind.TEXT))), "target_reserved", "fields.id", "sync keys"),
        (replace(GOOD, fields=(field("name", target_column_name="Attachments"),)), "target_system", "fields.name", "SharePoint's own"),
        (replace(GOOD, fields=(field("name", target_column_name="a b"),)), "target_name", "fields.name", "underscores"),
        (replace(GOOD, fields=(field("body", target_column_name="Title", kind=FieldKind.NOTE),)), "title_kind", "fields.body", "TEXT"),
        (replace(GOOD, fields=(field("mood", choices=("sad", "ok", "a;#b")),)), "choices", "fields.mood", ";#"),
        (replace(GOOD, fields=(field("mood", choices=("sad", "ok", "OK")),)), "choices", "fields.mood", "case alone"),
        (replace(GOOD, fields=(field("name", kind=FieldKind.CHOICE),)), "no_choices", "fields.name", "choices named"),
        (replace(GOOD, fields=(field("tags", kind=FieldKind.MULTICHOICE),)), "no_choices", "fields.tags", "text[]"),
        (replace(GOOD, fields=(field("name", transform_rule="upper"),)), "transform", "fields.name", "view"),
        (replace(GOOD, fields=(field("body", indexed=True),)), "not_indexable", "fields.body", "NOTE"),
        (replace(GOOD, fields=(field("name", target_column_name="A"), field("body", target_column_name="a"))), "target_twice", "fields", "list column a"),
        (replace(GOOD, fields=(field("name", target_display_name="A"), field("body", target_display_name="a"))), "display_twice", "fields", "different names"),
        (replace(GOOD, fields=(field("name", no=1), field("body", no=1))), "number_twice", "fields", "number 1"),
        (replace(TWO_WAY, fields=(field("name"), field("name", target_display_name="B"))), "source_twice", "fields", "pulled into name"),
        (replace(TWO_WAY, fields=(field("name", group="g"), field("body", group="g", direction=Direction.PUSH_ONLY))), "group_direction", "fields", "one direction"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_an_error_names_its_part_and_what_is_accepted(draft, code, where, said):
    (problem,) = (found for found in validate(draft, TABLE) if found.severity is Severity.ERROR)
    assert (problem.code, problem.where, problem.severity) == (code, where, Severity.ERROR)
    assert said in problem.message


@pytest.mark.parametrize(
    ("draft", "code", "said"),
    [
        (replace(GOOD, fields=(field("body", kind=FieldKind.TEXT),)), "may_be_cut", "NOTE keeps 63,999"),
        (replace(GOOD, fields=(field("mood", choices=("sad",)),)), "choices_missing", "1 labels"),
        (replace(GOOD, fields=(field("name", group="g"),)), "group_single", "one field"),
        (replace(TWO_WAY, fields=(field("amount"),)), "not_null", "parked"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_warning_leaves_the_definition_usable(draft, code, said):
    problem = only(draft)
    assert (problem.code, problem.severity) == (code, Severity.WARNING)
    assert said in problem.message


def errors(draft, table=TABLE):
    return {problem.code for problem in validate(draft, table) if problem.severity is Severity.ERROR}


def test_a_pull_definition_never_pushes_and_never_deletes_items():
    assert errors(PULL) == set()
    assert errors(replace(PULL, fields=(*ALL_FILLED, field("name", direction=Direction.BIDIRECTIONAL)))) == {
        "mode_direction"
    }


def test_a_pull_definition_that_ignores_new_items_says_that_it_pulls_little():
    assert codes(replace(PULL, fields=(NAME,), foreign_items=ForeignPolicy.IGNORE)) == {"nothing_inserted"}


def test_a_two_way_definition_whose_fields_are_all_pushed_says_that_nothing_is_pulled():
    draft = replace(TWO_WAY, fields=(field("name", direction=Direction.PUSH_ONLY),))
    assert (only(draft).code, only(draft).severity) == ("nothing_pulled", Severity.WARNING)


def test_a_key_may_be_taken_from_the_list_for_new_rows_only():
    draft = replace(TWO_WAY, fields=(NAME, field("id", direction=Direction.BIDIRECTIONAL)))
    assert codes(draft) == {"key_pulled", "not_null"}
    assert errors(draft) == set()
    inserting = replace(draft, foreign_items=ForeignPolicy.INSERT, fields=(*draft.fields, *ALL_FILLED[1:]))
    assert "key_pulled" not in codes(inserting)


FILLED = tuple(replace(column, has_default=True) if not column.nullable else column for column in COLUMNS[1:])


@pytest.mark.parametrize(
    ("key", "accepted"),
    [
        (a_column("id", "int4", nullable=False), False),
        (a_column("id", "int4", nullable=False, identity=True), True),
        (a_column("id", "uuid", nullable=False), True),
        (a_column("id", a_type("varchar", length=20), nullable=False), False),
    ],
    ids=lambda value: value.type.name + ("+" if value.identity else "") if not isinstance(value, bool) else "",
)
def test_a_new_row_needs_a_key_that_is_pulled_or_can_be_made(key, accepted):
    pushed = field("id", direction=Direction.PUSH_ONLY)
    table = replace(TABLE, columns=(key, *FILLED))
    draft = replace(TWO_WAY, foreign_items=ForeignPolicy.INSERT, fields=(NAME, pushed))
    assert errors(draft, table) == (set() if accepted else {"insert_key"})
    pulled = replace(draft, fields=(NAME, replace(pushed, direction=Direction.BIDIRECTIONAL)))
    assert errors(pulled, table) == set()


def test_without_directions_a_two_way_draft_pulls_the_key_only_where_nothing_else_makes_one():
    draft = replace(TWO_WAY, foreign_items=ForeignPolicy.INSERT, fields=(NAME, field("id")))
    assert errors(draft, replace(TABLE, columns=(COLUMNS[0], *FILLED))) == set()
    serial = replace(TABLE, columns=(replace(COLUMNS[0], identity=True), *FILLED))
    assert [f.direction for f in fields_of(draft, TABLE)] == [Direction.BIDIRECTIONAL] * 2
    assert [f.direction for f in fields_of(draft, serial)] == [Direction.BIDIRECTIONAL, Direction.PUSH_ONLY]


def test_a_soft_delete_column_is_not_written_from_the_list():
    draft = replace(TWO_WAY, soft_delete_column="gone", fields=(NAME, field("gone", direction=Direction.BIDIRECTIONAL)))
    assert codes(draft) == {"soft_delete_pulled"}


def test_rows_can_be_inserted_when_every_column_that_needs_a_value_gets_one():
    columns = (
        a_column("id", "int4", nullable=False, identity=True),
        *(replace(column, has_default=True) if not column.nullable else column for column in COLUMNS[1:]),
    )
    draft = replace(TWO_WAY, foreign_items=ForeignPolicy.INSERT)
    assert codes(draft, replace(TABLE, columns=columns)) == set()


# ---------------------------------------------------------------- keys


def test_a_table_without_a_key_is_refused_with_a_way_out():
    bare = replace(TABLE, constraints=())
    assert only(GOOD, bare).code == "keyless"
    assert "COMPOSITE_COLUMNS" in only(GOOD, bare).message
    unique = replace(bare, indexes=(Index(name="u", columns=("amount",), unique=True),))
    assert "choose UNIQUE with (amount)" in only(GOOD, unique).message
    nullable = replace(bare, indexes=(Index(name="u", columns=("name",), unique=True),))
    assert "COMPOSITE_COLUMNS" in only(GOOD, nullable).message


@pytest.mark.parametrize(
    ("strategy", "key", "code"),  # tuples: a set's text differs from process to process, and so would the test's name
    [
        (KeyStrategy.PRIMARY_KEY, ("amount",), ("key_not_primary", "key_numeric", "key_unchecked")),
        (KeyStrategy.UNIQUE, (), ("key_empty",)),
        (KeyStrategy.UNIQUE, ("owner",), ("key_not_unique", "key_nullable")),
        (KeyStrategy.UNIQUE, ("id", "id"), ("key_repeated",)),
        (KeyStrategy.UNIQUE, ("idd",), ("unknown_column",)),
        (KeyStrategy.UNIQUE, ("id", "changed"), ()),
        (KeyStrategy.COMPOSITE_COLUMNS, ("changed", "gone"), ("key_unchecked",)),
        (KeyStrategy.COMPOSITE_COLUMNS, ("id", "gone"), ()),
    ],
    ids=str,
)
def test_a_key_has_to_be_unique_never_null_and_there(strategy, key, code):
    assert codes(replace(GOOD, key_strategy=strategy, key_columns=key)) == set(code)


def test_the_data_check_of_a_composite_key_comes_as_sql():
    problem = only(replace(GOOD, key_strategy=KeyStrategy.COMPOSITE_COLUMNS, key_columns=("changed", "gone")))
    assert problem.severity is Severity.WARNING
    assert (
        problem.remedy
        == 'select "changed", "gone", count(*) from "app"."tasks" group by "changed", "gone" having count(*) > 1'
    )


@pytest.mark.parametrize(
    "declared",
    [
        a_type("citext"),
        a_type("text", deterministic_collation=False),
        a_type("bpchar", length=3),
        a_type("float8"),
        a_type("interval"),
        a_type("jsonb"),
        a_type("json"),
        a_type("bytea"),
        a_type("money"),
        a_type("text", is_array=True),
    ],
    ids=str,
)
def test_a_key_whose_equality_is_coarser_than_its_text_is_refused(declared):
    problem = only(GOOD, with_column(a_column("id", declared, nullable=False)))
    assert (problem.code, problem.severity) == ("key_type", Severity.ERROR)
    assert "deterministic collation" in problem.message


@pytest.mark.parametrize(
    "declared",
    [a_type(name) for name in ("int8", "text", "name", "uuid", "date", "timestamptz", "bool")] + [MOOD],
    ids=str,
)
def test_a_key_with_one_text_per_value_is_accepted(declared):
    assert validate(GOOD, with_column(a_column("id", declared, nullable=False))) == ()


def test_a_numeric_key_is_accepted_with_a_word_about_its_zeros():
    problem = only(GOOD, with_column(a_column("id", "numeric", nullable=False)))
    assert (problem.code, problem.severity) == ("key_numeric", Severity.WARNING)


# ---------------------------------------------------------------- relations, cursors


@pytest.mark.parametrize("kind", [RelationKind.VIEW, RelationKind.MATERIALIZED_VIEW, RelationKind.FOREIGN_TABLE])
def test_views_and_foreign_tables_are_pushed_only(kind):
    view = replace(TABLE, kind=kind)
    draft = replace(TWO_WAY, fields=(field("name", direction=Direction.PUSH_ONLY),))
    assert codes(draft, view) == {"relation_not_writable", "nothing_pulled"}
    assert codes(GOOD, view) == set()


def test_a_view_s_key_may_look_nullable_to_the_catalog():
    view = replace(
        TABLE,
        kind=RelationKind.VIEW,
        constraints=(),
        indexes=(),
        columns=tuple(replace(column, nullable=True) for column in COLUMNS),
    )
    assert codes(replace(GOOD, key_strategy=KeyStrategy.COMPOSITE_COLUMNS, key_columns=("id",)), view) == {
        "key_unchecked"
    }


def test_row_level_security_that_applies_is_an_error_with_its_remedy():
    problem = only(GOOD, replace(TABLE, row_security=RowSecurity(enabled=True, applies=True)))
    assert problem.code == "rows_hidden"
    assert "bypassrls" in (problem.remedy or "")
    assert validate(GOOD, replace(TABLE, row_security=RowSecurity(enabled=True))) == ()


def test_a_cursor_without_an_index_is_a_warning_with_the_sql_of_one():
    bare = replace(TABLE, indexes=())
    problem = only(replace(GOOD, cursor_column="changed"), bare)
    assert (problem.code, problem.severity) == ("cursor_index", Severity.WARNING)
    assert problem.remedy == 'create index concurrently on "app"."tasks" ("changed", "id")'
    partitioned = only(replace(GOOD, cursor_column="changed"), replace(bare, kind=RelationKind.PARTITIONED))
    assert partitioned.remedy == 'create index on "app"."tasks" ("changed", "id")'
    assert validate(replace(GOOD, cursor_column="changed"), replace(bare, kind=RelationKind.VIEW)) == ()


def test_a_cursor_may_be_an_xid8_and_no_number_from_a_sequence():
    table = with_column(COLUMNS[0], a_column("tx", "xid8", nullable=False), indexes=(Index(name="x", columns=("tx",)),))
    assert codes(replace(GOOD, cursor_column="tx"), table) == set()
    assert codes(replace(GOOD, cursor_column="id")) == {"cursor_type", "cursor_index"}
    assert codes(replace(GOOD, cursor_column="local")) == {"cursor_zone", "cursor_nulls", "cursor_index"}
    assert codes(replace(GOOD, cursor_column="nope")) == {"unknown_column"}


# ---------------------------------------------------------------- lists


def a_target(kind=FieldKind.TEXT, **more):
    return ListColumn(name="Col", display_name="Shown", kind=kind, **more)


@pytest.mark.parametrize(
    ("column", "found"),
    [
        (a_target(), set()),
        (a_target(FieldKind.NOTE), {"target_kind"}),
        (a_target(read_only=True), {"target_read_only"}),
        (a_target(max_length=40), {"target_short"}),
        (a_target(max_length=255), set()),
    ],
    ids=str,
)
def test_a_field_has_to_fit_the_list_column_that_is_there(column, found):
    assert (
        codes(replace(GOOD, fields=(field("name", target_column_name="Col", kind=FieldKind.TEXT),)), columns=[column])
        == found
    )


def test_a_list_column_that_graph_does_not_describe_is_never_mapped():
    assert codes(
        replace(GOOD, fields=(field("name", target_column_name="Col"),)), columns=[a_target(FieldKind.UNKNOWN)]
    ) == {"type_pair"}


def test_a_lookup_that_holds_several_ids_is_refused():
    draft = replace(GOOD, fields=(field("owner", target_column_name="Col"),))
    assert codes(draft, columns=[a_target(FieldKind.LOOKUP, multiple=True)]) == {"target_multiple"}
    assert codes(draft, columns=[a_target(FieldKind.LOOKUP)]) == set()


def wide(count, declared):
    return replace(TABLE, columns=(*COLUMNS, *(a_column(f"c{at}", declared) for at in range(count))))


def test_twelve_lookups_are_accepted_and_thirteen_are_not():
    fields = tuple(field(f"c{at}", kind=FieldKind.LOOKUP) for at in range(13))
    assert codes(replace(GOOD, fields=fields[:12]), wide(13, "int4")) == set()
    assert codes(replace(GOOD, fields=fields), wide(13, "int4")) == {"too_many_lookups"}


def test_the_sync_key_s_index_counts_towards_the_list_s_twenty():
    fields = tuple(field(f"c{at}", indexed=True) for at in range(20))
    assert codes(replace(GOOD, fields=fields[:19]), wide(20, "int4")) == set()
    assert codes(replace(GOOD, fields=fields), wide(20, "int4")) == {"too_many_indexes"}
    assert codes(replace(GOOD, fields=fields[:19]), wide(20, "int4"), [a_target(indexed=True)]) == {"too_many_indexes"}


def test_a_name_that_postgresql_cut_is_explained():
    problem = only(replace(GOOD, fields=(field("x" * 64),)))
    assert "63 bytes" in problem.message
