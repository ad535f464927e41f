"""Two definitions that write the same columns of one table never run together, whoever is first."""

import threading
from dataclasses import replace
from uuid import uuid4

import pytest

from shared.adapters.metastore.catalog import ConnectionStore, InstanceStore
from shared.adapters.metastore.definitions import DefinitionStore
from shared.adapters.metastore.pool import Metastore
from shared.core.definition import DefinitionState, Direction, FieldKind, FieldMapping, SyncMode
from shared.core.draft import DraftDefinition
from shared.core.errors import Conflicting
from shared.core.ids import DefinitionId, FieldNo, SiteId
from shared.core.record import DefinitionRecord, TargetRecord
from shared.core.source import KeyStrategy, RelationKind, SourceColumn, SourceKey, SourceType, TableRef
from tests.integration.metastore.test_control_stores import connection, instance

pytestmark = pytest.mark.slow

TEXT = SourceType(name="text", declared="text")
KEY = SourceColumn(name="code", type=TEXT, nullable=False)
BOTH, PUSH = Direction.BIDIRECTIONAL, Direction.PUSH_ONLY


class Rivals:
    """Definitions of one table, each with its own fields."""

    def __init__(self, store: Metastore) -> None:
        self.definitions, self.instances = DefinitionStore(store), InstanceStore(store)
        self.database, self.sharepoint = instance(), connection()
        self.instances.add(self.database, actor="me")
        ConnectionStore(store).add(self.sharepoint, actor="me")

    def add(self, name: str, mode: SyncMode = SyncMode.TWO_WAY, **fields: Direction) -> DefinitionRecord:
        record = DefinitionRecord(
            id=DefinitionId(uuid4()),
            version=1,
            state=DefinitionState.DRAFT,
            instance_id=self.database.id,
            table=TableRef(schema="app", name="t"),
            relation=RelationKind.TABLE,
            draft=DraftDefinition(name=name, key_strategy=KeyStrategy.PRIMARY_KEY, fields=(), mode=mode),
            key=SourceKey(strategy=KeyStrategy.PRIMARY_KEY, columns=(KEY,)),
            fields=tuple(
                FieldMapping(
                    no=FieldNo(no),
                    source=SourceColumn(name=column, type=TEXT),
                    target_column_name=column.title(),
                    target_display_name=column,
                    kind=FieldKind.TEXT,
                    direction=direction,
                )
                for no, (column, direction) in enumerate(fields.items(), 1)
            ),
            next_field_no=9,
            target=TargetRecord(
                connection_id=self.sharepoint.id, site_id=SiteId("contoso.sharepoint.com,1,2"), list_name=name
            ),
        )
        return self.definitions.add(record, actor="me")

    def move(self, record: DefinitionRecord, state: DefinitionState) -> DefinitionRecord:
        was = self.definitions.get(record.id).state
        return self.definitions.set_state(record.id, was=was, state=state, reason=None, actor="me")

    def activate(self, record: DefinitionRecord) -> DefinitionRecord:
        return self.move(record, DefinitionState.ACTIVE)


@pytest.fixture
def rivals(store: Metastore) -> Rivals:
    return Rivals(store)


def test_the_second_definition_that_writes_a_column_is_refused_with_its_name(rivals: Rivals):
    first, second = rivals.add("first", note=BOTH, qty=BOTH), rivals.add("second", qty=BOTH, owner=BOTH)
    rivals.activate(first)
    with pytest.raises(Conflicting, match="'first' writes qty of the same table") as refused:
        rivals.activate(second)
    assert refused.value.code == "rival"
    assert rivals.definitions.get(second.id).state is DefinitionState.DRAFT


@pytest.mark.parametrize(
    ("mode", "fields"),
    [
        (SyncMode.ONE_WAY_PUSH, {"note": PUSH}),
        (SyncMode.TWO_WAY, {"note": PUSH, "owner": BOTH}),
        (SyncMode.TWO_WAY, {"code": BOTH, "owner": BOTH}),
    ],
    ids=["only pushed", "another column", "the key"],
)
def test_definitions_that_write_nothing_in_common_run_together(rivals: Rivals, mode, fields):
    rivals.activate(rivals.add("first", note=BOTH, code=BOTH))
    assert rivals.activate(rivals.add("second", mode, **fields)).state is DefinitionState.ACTIVE


def test_a_database_that_is_registered_twice_is_one_database(rivals: Rivals):
    rivals.activate(rivals.add("first", note=BOTH))
    rivals.database = replace(rivals.database, id=instance().id, name="again")
    rivals.instances.add(rivals.database, actor="me")
    with pytest.raises(Conflicting):
        rivals.activate(rivals.add("second", note=BOTH))


def test_a_deactivated_definition_is_no_rival_until_it_comes_back(rivals: Rivals):
    first, second = rivals.add("first", note=BOTH), rivals.add("second", note=BOTH)
    rivals.activate(first)
    rivals.move(first, DefinitionState.DEACTIVATED)
    rivals.activate(second)
    with pytest.raises(Conflicting):
        rivals.activate(first)


def test_a_live_definition_does_not_take_up_a_rival_s_column(rivals: Rivals):
    rivals.activate(rivals.add("first", note=BOTH))
    second = rivals.activate(rivals.add("second", note=PUSH, owner=BOTH))
    widened = replace(second, fields=tuple(replace(field, direction=BOTH) for field in second.fields))
    with pytest.raises(Conflicting, match="note"):
        rivals.definitions.save(widened, actor="me")
    assert rivals.definitions.get(second.id).fields == second.fields


def test_of_two_that_are_activated_at_once_one_is_refused(rivals: Rivals):
    records = [rivals.add("first", note=BOTH), rivals.add("second", note=BOTH)]
    start, outcomes = threading.Barrier(2), []

    def activate(record: DefinitionRecord) -> None:
        start.wait()
        try:
            rivals.activate(record)
            outcomes.append("active")
        except Conflicting as refused:
            outcomes.append(refused.code)

    threads = [threading.Thread(target=activate, args=(record,)) for record in records]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["active", "rival"]
