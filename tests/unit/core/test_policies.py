"""What the mode suggests, and which rights a definition needs for it."""

from dataclasses import replace
from uuid import UUID

import pytest

from shared.core.definition import DefinitionState, DeletePolicy, Direction, FieldKind, ForeignPolicy, SyncMode
from shared.core.draft import DraftDefinition
from shared.core.ids import ConnectionId, DefinitionId, InstanceId, SiteId
from shared.core.keys import NewKey, new_key
from shared.core.needs import Needs, needs_of
from shared.core.policies import policies_of
from shared.core.record import DefinitionRecord, TargetRecord
from shared.core.source import KeyStrategy, RelationKind, SourceKey, TableRef
from tests.unit.core.make import a_column, a_field

ID = a_column("id", "int4", nullable=False, identity=True)
CODE = a_column("code", "text", nullable=False)


def a_draft(mode: SyncMode, **more) -> DraftDefinition:
    return DraftDefinition(name="d", key_strategy=KeyStrategy.PRIMARY_KEY, fields=(), mode=mode, **more)


def a_record(draft: DraftDefinition, *fields, key=ID, **more) -> DefinitionRecord:
    return DefinitionRecord(
        id=DefinitionId(UUID(int=1)),
        version=1,
        state=DefinitionState.DRAFT,
        instance_id=InstanceId(UUID(int=2)),
        table=TableRef(schema="app", name="t"),
        relation=RelationKind.TABLE,
        draft=draft,
        key=SourceKey(strategy=KeyStrategy.PRIMARY_KEY, columns=(key,)),
        fields=fields,
        next_field_no=10,
        target=TargetRecord(connection_id=ConnectionId(UUID(int=3)), site_id=SiteId("s"), list_name="l"),
        **more,
    )


@pytest.mark.parametrize(
    ("mode", "row_deleted", "item_deleted", "foreign"),
    [
        (SyncMode.ONE_WAY_PUSH, DeletePolicy.PROPAGATE, DeletePolicy.RECREATE, ForeignPolicy.IGNORE),
        (SyncMode.ONE_WAY_PULL, DeletePolicy.RECREATE, DeletePolicy.PROPAGATE, ForeignPolicy.INSERT),
        (SyncMode.TWO_WAY, DeletePolicy.PROPAGATE, DeletePolicy.PROPAGATE, ForeignPolicy.INSERT),
    ],
)
def test_what_a_draft_leaves_open_the_mode_decides(mode, row_deleted, item_deleted, foreign):
    found = policies_of(a_draft(mode))
    assert (found.row_deleted, found.item_deleted, found.foreign_items) == (row_deleted, item_deleted, foreign)


def test_what_a_draft_says_stays_whatever_the_mode():
    draft = a_draft(SyncMode.TWO_WAY, item_deleted=DeletePolicy.KEEP, foreign_items=ForeignPolicy.IGNORE)
    found = policies_of(draft)
    assert (found.item_deleted, found.foreign_items) == (DeletePolicy.KEEP, ForeignPolicy.IGNORE)
    assert found.row_deleted is DeletePolicy.PROPAGATE


PULLED = a_field(name="note", no=1)
PUSHED = a_field(name="total", no=2, direction=Direction.PUSH_ONLY, target="Total")


def test_a_push_needs_no_right_to_write():
    assert needs_of(a_record(a_draft(SyncMode.ONE_WAY_PUSH), PUSHED)) == Needs()


def test_a_two_way_definition_needs_to_insert_to_delete_and_to_update_what_is_pulled():
    record = a_record(a_draft(SyncMode.TWO_WAY), PULLED, PUSHED)
    assert needs_of(record) == Needs(insert=True, update=("note",), delete=True, reserve=True)


def test_rights_follow_the_policies():
    draft = a_draft(SyncMode.TWO_WAY, item_deleted=DeletePolicy.KEEP, foreign_items=ForeignPolicy.IGNORE)
    assert needs_of(a_record(draft, PULLED)) == Needs(insert=True, update=("note",))


def test_a_row_that_is_only_marked_as_deleted_needs_no_right_to_delete():
    record = a_record(a_draft(SyncMode.TWO_WAY), PULLED, soft_delete_column=a_column("gone", "bool"))
    assert needs_of(record) == Needs(insert=True, update=("note", "gone"), reserve=True)


def test_a_key_that_the_item_gives_is_neither_reserved_nor_updated():
    key = a_field(name="code", no=3, kind=FieldKind.TEXT, target="Code", nullable=False)
    record = a_record(a_draft(SyncMode.TWO_WAY), PULLED, key, key=CODE)
    assert needs_of(record) == Needs(insert=True, update=("note",), delete=True)


def test_new_keys_come_from_the_item_or_are_made_or_from_nowhere():
    pulled = a_field(name="code", no=3)
    assert new_key([CODE], [pulled]) is NewKey.PULLED
    assert new_key([CODE], [replace(pulled, direction=Direction.PUSH_ONLY)]) is None
    assert new_key([ID], []) is NewKey.RESERVED
    assert new_key([a_column("u", "uuid")], []) is NewKey.RESERVED
    assert new_key([ID, a_column("u", "uuid")], []) is NewKey.RESERVED
    assert new_key([ID, CODE], [pulled]) is None
