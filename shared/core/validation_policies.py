"""Whether a draft's mode, policies and directions can be carried out together."""

from collections.abc import Iterator, Sequence

from shared.core.definition import ConflictPolicy, DeletePolicy, FieldMapping, ForeignPolicy, SyncMode
from shared.core.draft import DraftDefinition
from shared.core.families import Family, family_of
from shared.core.keys import NewKey, new_key
from shared.core.policies import policies_of
from shared.core.problems import Problem, Severity
from shared.core.snapshot import TableSnapshot
from shared.core.source import SourceColumn

_MOMENTS = frozenset({Family.TIMESTAMP, Family.TIMESTAMPTZ})


def policy_problems(
    draft: DraftDefinition, fields: Sequence[FieldMapping], snapshot: TableSnapshot
) -> Iterator[Problem]:
    """`fields`: what `fields_of` made of the draft."""
    policies = policies_of(draft)
    if draft.conflict_policy is ConflictPolicy.LATEST_WINS:
        cursor = snapshot.column(draft.cursor_column) if draft.cursor_column else None
        if cursor is None or family_of(cursor.type) not in _MOMENTS:
            yield Problem(
                code="latest_wins",
                message="LATEST_WINS compares a timestamp of the row with the item's Modified: name a timestamp column as "
                "cursor_column, or choose SOURCE_WINS or DESTINATION_WINS",
                where="conflict_policy",
            )
    if draft.mode is SyncMode.ONE_WAY_PUSH and policies.item_deleted is DeletePolicy.PROPAGATE:
        yield Problem(
            code="one_way_delete",
            message="item_deleted PROPAGATE deletes rows, and the mode ONE_WAY_PUSH never writes rows: choose RECREATE, KEEP "
            "or APPROVE, or the mode TWO_WAY",
            where="item_deleted",
        )
    if draft.mode is SyncMode.ONE_WAY_PULL and policies.row_deleted is DeletePolicy.PROPAGATE:
        yield Problem(
            code="one_way_delete",
            message="row_deleted PROPAGATE deletes items, and the mode ONE_WAY_PULL never writes items: choose RECREATE, KEEP "
            "or APPROVE, or the mode TWO_WAY",
            where="row_deleted",
        )
    if draft.mode is SyncMode.ONE_WAY_PULL and policies.item_deleted is DeletePolicy.RECREATE:
        yield Problem(
            code="one_way_recreate",
            message="item_deleted RECREATE makes items, and the mode ONE_WAY_PULL never does: choose PROPAGATE, KEEP or "
            "APPROVE, or the mode TWO_WAY",
            where="item_deleted",
        )
    if draft.mode is SyncMode.ONE_WAY_PUSH and policies.row_deleted is DeletePolicy.RECREATE:
        yield Problem(
            code="one_way_recreate",
            message="row_deleted RECREATE makes rows, and the mode ONE_WAY_PUSH never does: choose PROPAGATE, KEEP or "
            "APPROVE, or the mode TWO_WAY",
            where="row_deleted",
        )
    yield from _nothing_pulled(draft, fields)
    if policies.foreign_items is ForeignPolicy.INSERT:
        yield from _inserts(draft, fields, snapshot)
    elif draft.mode is SyncMode.ONE_WAY_PULL:
        yield Problem(
            code="nothing_inserted",
            message="foreign_items IGNORE leaves every new item alone: in the mode ONE_WAY_PULL rows are then written only "
            "for items that stood for rows before",
            where="foreign_items",
            severity=Severity.WARNING,
        )


def _nothing_pulled(draft: DraftDefinition, fields: Sequence[FieldMapping]) -> Iterator[Problem]:
    if draft.mode is SyncMode.TWO_WAY and fields and not any(field.pulls for field in fields):
        yield Problem(
            code="nothing_pulled",
            message="the mode is TWO_WAY and every field is PUSH_ONLY: no edit flows to the table; leave sync_direction of "
            "the fields out to get the mode's, or name BIDIRECTIONAL ones",
            where="fields",
            severity=Severity.WARNING,
        )


def _inserts(draft: DraftDefinition, fields: Sequence[FieldMapping], snapshot: TableSnapshot) -> Iterator[Problem]:
    where = "foreign_items"
    if draft.mode is SyncMode.ONE_WAY_PUSH:
        yield Problem(
            code="one_way_insert",
            message="foreign_items INSERT writes rows, and the mode ONE_WAY_PUSH never does: choose IGNORE, or the mode TWO_WAY",
            where=where,
        )
        return
    names = draft.key_columns or snapshot.primary_key
    key = [column for name in names if (column := snapshot.column(name)) is not None]
    way = (
        new_key(key, fields) if len(key) == len(names) else NewKey.PULLED
    )  # what is wrong with the key is said elsewhere
    if way is None:
        yield _no_key(key)
    pulled = {field.source.name for field in fields if field.pulls}
    given = pulled | ({column.name for column in key} if way is not NewKey.PULLED else set())
    bare = [
        column.name
        for column in snapshot.columns
        if not (column.nullable or column.has_default or column.identity or column.generated or column.name in given)
    ]
    if bare:
        yield Problem(
            code="insert_not_null",
            message=f"foreign_items INSERT cannot fill {', '.join(bare)}: NOT NULL, without a default and not pulled; map them, "
            "give them defaults, or choose IGNORE",
            where=where,
        )


def _no_key(key: Sequence[SourceColumn]) -> Problem:
    columns = ", ".join(f"{column.name} ({column.type.declared})" for column in key)
    several = len(key) > 1
    return Problem(
        code="insert_key",
        message=f"foreign_items INSERT needs a key for new rows, and nothing gives ({columns}) one: make the "
        f"field{'s' * several} of the key BIDIRECTIONAL, so that people fill {'them' if several else 'it'} in"
        + ("" if several else ", give the column a sequence or the type uuid")
        + ", or choose IGNORE",
        where="foreign_items",
    )
