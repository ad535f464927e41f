"""What the control plane keeps comes back as it was, and nobody changes it behind somebody's back."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from shared.adapters.metastore.audit import AuditStore
from shared.adapters.metastore.catalog import ConnectionStore, InstanceStore
from shared.adapters.metastore.definitions import DefinitionStore
from shared.adapters.metastore.discovery import InventoryStore, PlanStore, SnapshotStore
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.runs import RunStore
from shared.control_ports import Plan
from shared.core.catalog import (
    Checked,
    Cloud,
    ConnectionAuth,
    DatabaseInstance,
    Health,
    KeptSecret,
    KnownList,
    KnownSite,
    SharePointConnection,
)
from shared.core.definition import DefinitionState, Direction, FieldKind, FieldMapping
from shared.core.draft import DraftDefinition, DraftField
from shared.core.errors import Conflicting, NotFound
from shared.core.ids import ConnectionId, DefinitionId, FieldNo, InstanceId, ListId, RunId, SiteId
from shared.core.record import DefinitionRecord, TargetRecord, terms_of_record
from shared.core.runs import RunStatus
from shared.core.snapshot import Constraint, ConstraintKind, Index, RowSecurity, TableSnapshot
from shared.core.source import KeyStrategy, RelationKind, SourceColumn, SourceKey, SourceType, TableRef

pytestmark = pytest.mark.slow

COLUMN = SourceColumn(
    name="state",
    type=SourceType(name="mood", declared="app.mood", is_enum=True, enum_labels=("a", "b")),
    nullable=False,
    position=3,
)
SITE = SiteId("contoso.sharepoint.com,1,2")


def instance(**changes) -> DatabaseInstance:
    kept = DatabaseInstance(
        id=InstanceId(uuid4()),
        name=f"db {uuid4()}",
        host="db.example.org",
        port=5432,
        db_name="app",
        db_user="sync",
        secret=KeptSecret(sealed=b"\x00sealed"),
    )
    return replace(kept, **changes)


def connection(**changes) -> SharePointConnection:
    kept = SharePointConnection(
        id=ConnectionId(uuid4()),
        name=f"sp {uuid4()}",
        tenant_id="contoso",
        client_id="app",
        auth_method=ConnectionAuth.SECRET,
        secret=KeptSecret(reference="env:SECRET"),
        cloud=Cloud.CUSTOM,
        graph_url="http://127.0.0.1:1",
        login_url="http://127.0.0.1:1",
        ru_per_minute=10,
    )
    return replace(kept, **changes)


@pytest.fixture
def record(store: Metastore) -> DefinitionRecord:
    """A definition that is not kept yet; its instance and connection are."""
    database, sharepoint = instance(), connection()
    InstanceStore(store).add(database, actor="me")
    ConnectionStore(store).add(sharepoint, actor="me")
    return DefinitionRecord(
        id=DefinitionId(uuid4()),
        version=1,
        state=DefinitionState.DRAFT,
        instance_id=database.id,
        table=TableRef(schema="app", name="t"),
        relation=RelationKind.TABLE,
        draft=DraftDefinition(
            name="projects",
            key_strategy=KeyStrategy.PRIMARY_KEY,
            fields=(DraftField(source_column_name="state", kind=FieldKind.CHOICE),),
            row_filter="state = 'a'",
            debounce=timedelta(seconds=3),
        ),
        key=SourceKey(strategy=KeyStrategy.PRIMARY_KEY, columns=(COLUMN,)),
        fields=(
            FieldMapping(
                no=FieldNo(1),
                source=COLUMN,
                target_column_name="state",
                target_display_name="State",
                kind=FieldKind.CHOICE,
                choices=("a", "b"),
            ),
        ),
        next_field_no=2,
        target=TargetRecord(connection_id=sharepoint.id, site_id=SITE, list_name="Projects"),
        agreed_scope=b"s" * 16,
    )


def test_a_database_instance_comes_back_as_it_was(store: Metastore):
    stores, kept = InstanceStore(store), instance()
    stores.add(kept, actor="me")
    assert kept == replace(stores.get(kept.id), updated_at=None)
    stores.replace(replace(kept, port=6432), actor="me")
    assert [6432] == [found.port for found in stores.list() if found.id == kept.id]


def test_a_health_check_is_remembered_until_the_address_changes(store: Metastore):
    stores, kept = InstanceStore(store), instance()
    stores.add(kept, actor="me")
    checked = Checked(health=Health.HEALTHY, details={"version": "18"}, at=datetime(2026, 1, 1, tzinfo=UTC))
    stores.record_check(kept.id, checked)
    assert checked == stores.get(kept.id).checked
    stores.replace(kept, actor="me")
    assert Checked() == stores.get(kept.id).checked


def test_a_taken_name_is_a_conflict(store: Metastore):
    stores, kept = InstanceStore(store), instance()
    stores.add(kept, actor="me")
    with pytest.raises(Conflicting, match="another database instance"):
        stores.add(instance(name=kept.name), actor="me")


def test_a_connection_comes_back_as_it_was(store: Metastore):
    stores, kept = ConnectionStore(store), connection()
    stores.add(kept, actor="me")
    assert kept == replace(stores.get(kept.id), updated_at=None)
    stores.remove(kept.id, actor="me")
    with pytest.raises(NotFound):
        stores.get(kept.id)


def test_the_audit_names_who_changed_what_and_holds_no_secret(store: Metastore):
    stores, kept = InstanceStore(store), instance()
    stores.add(kept, actor="ann")
    stores.replace(replace(kept, port=1), actor="bob")
    newer, older = AuditStore(store).entries(subject_id=str(kept.id))
    assert [("bob", "changed"), ("ann", "added")] == [(e.actor, e.action) for e in (newer, older)]
    assert newer.before is not None
    assert (5432, "sealed") == (newer.before["port"], newer.before["secret"])
    assert "x00sealed" not in str(newer) + str(older)


def test_a_definition_comes_back_as_it_was_with_every_version(store: Metastore, record: DefinitionRecord):
    stores = DefinitionStore(store)
    added = stores.add(record, actor="me")
    assert record == replace(added, created_at=None, updated_at=None)
    target = replace(record.target, list_id=ListId(str(uuid4())), key_column="SyncBridgeKey")
    saved = stores.save(replace(added, target=target), actor="me")
    assert (2, target) == (saved.version, replace(saved.target, provisioned_at=None))
    assert [2, 1] == [version["version"] for version in stores.versions(record.id)]


def test_a_change_made_from_an_old_version_is_refused(store: Metastore, record: DefinitionRecord):
    stores = DefinitionStore(store)
    added = stores.add(record, actor="me")
    stores.save(added, actor="me")
    with pytest.raises(Conflicting, match="read it again"):
        stores.save(added, actor="me")


def test_a_field_keeps_the_id_that_the_api_knows_it_by(store: Metastore, record: DefinitionRecord):
    stores = DefinitionStore(store)
    added = stores.add(record, actor="me")
    before = stores.field_ids(record.id)
    stores.save(added, actor="me")
    assert before == stores.field_ids(record.id)
    assert stores.field_owner(before[FieldNo(1)]) == (record.id, FieldNo(1))


def test_two_definitions_on_one_list_are_refused_until_the_first_is_deleted(store: Metastore, record: DefinitionRecord):
    stores = DefinitionStore(store)
    mine = stores.add(record, actor="me")
    other = stores.add(replace(record, id=DefinitionId(uuid4()), draft=replace(record.draft, name="other")), actor="me")
    target = replace(record.target, list_id=ListId(str(uuid4())), key_column="SyncBridgeKey")
    mine = stores.save(replace(mine, target=target), actor="me")
    assert target.list_id is not None
    assert stores.owner_of(target.list_id) == mine.id
    with pytest.raises(Conflicting, match="belongs to another"):
        stores.save(replace(other, target=target), actor="me")
    stores.set_state(mine.id, was=DefinitionState.DRAFT, state=DefinitionState.DELETED, reason=None, actor="me")
    stores.save(replace(other, target=target), actor="me")


def test_a_state_moves_once(store: Metastore, record: DefinitionRecord):
    stores = DefinitionStore(store)
    stores.add(record, actor="me")
    moved = stores.set_state(
        record.id, was=DefinitionState.DRAFT, state=DefinitionState.ACTIVE, reason="go", actor="me"
    )
    assert (DefinitionState.ACTIVE, "go") == (moved.state, moved.state_reason)
    with pytest.raises(Conflicting):
        stores.set_state(record.id, was=DefinitionState.DRAFT, state=DefinitionState.ACTIVE, reason=None, actor="me")


def test_one_of_two_ticks_takes_what_is_due(store: Metastore, record: DefinitionRecord):
    stores = DefinitionStore(store)
    stores.add(record, actor="me")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert not stores.due(now)
    stores.set_state(record.id, was=DefinitionState.DRAFT, state=DefinitionState.ACTIVE, reason=None, actor="me")
    assert [record.id] == [found.id for found in stores.due(now)]
    later = now + timedelta(minutes=5)
    runs = RunStore(store)

    def taken(*, was: datetime | None, wanted: bool = False, next_run: datetime = later) -> bool:
        ours = {"trigger": "SCHEDULE", "requested_by": "schedule", "run_id": RunId(uuid4())}
        return runs.start_due(record.id, was=was, wanted=wanted, next_run=next_run, **ours) is not None

    assert taken(was=None)
    assert not taken(was=None, next_run=now)
    assert not stores.due(now)
    [run] = runs.unfinished()
    assert run.definition == record.id
    stores.want_run(record.id)
    assert not taken(was=later), "somebody wants one meanwhile"
    assert not taken(was=later, wanted=True), "one is under way"
    assert [record.id] == [found.id for found in stores.due(now)]
    runs.finish(run.id, RunStatus.COMPLETED, code=None, message=None)
    assert taken(was=later, wanted=True)
    assert not stores.due(now)


def test_a_database_in_use_is_not_removed(store: Metastore, record: DefinitionRecord):
    DefinitionStore(store).add(record, actor="me")
    with pytest.raises(Conflicting, match="source of a definition"):
        InstanceStore(store).remove(record.instance_id, actor="me")
    with pytest.raises(Conflicting, match="target of a definition"):
        ConnectionStore(store).remove(record.target.connection_id, actor="me")


def test_a_snapshot_is_kept_when_it_differs(store: Metastore):
    database = instance()
    InstanceStore(store).add(database, actor="me")
    snapshots = SnapshotStore(store)
    seen = TableSnapshot(
        table=TableRef(schema="app", name="t"),
        kind=RelationKind.TABLE,
        columns=(COLUMN,),
        constraints=(Constraint(name="pk", kind=ConstraintKind.PRIMARY_KEY, columns=("state",)),),
        indexes=(Index(name="i", columns=("state", None)),),
        estimated_rows=5,
        row_security=RowSecurity(enabled=True),
    )
    assert snapshots.save(database.id, seen)
    assert not snapshots.save(database.id, replace(seen, estimated_rows=6))
    assert snapshots.latest(database.id, seen.table) == seen
    assert snapshots.save(database.id, replace(seen, comment="changed"))
    assert [seen.table] == snapshots.tables(database.id)


def test_an_inventory_and_a_plan_come_back(store: Metastore, record: DefinitionRecord):
    DefinitionStore(store).add(record, actor="me")
    inventory, sharepoint = InventoryStore(store), record.target.connection_id
    site = KnownSite(connection_id=sharepoint, site_id=SITE, display_name="HR", web_url="https://x/sites/hr")
    inventory.save_sites([site])
    inventory.save_sites([replace(site, display_name="People")])
    assert [replace(site, display_name="People")] == inventory.sites(sharepoint)
    known = KnownList(
        connection_id=sharepoint,
        site_id=SITE,
        list_id=ListId(str(uuid4())),
        display_name="L",
        web_url="https://x",
        template="genericList",
    )
    inventory.save_lists([known])
    assert [known] == inventory.lists(sharepoint, SITE)
    plans = PlanStore(store)
    plan = Plan(id=uuid4(), definition=record.id, document={"counts": {"create": 1}}, base=b"b", created_by="me")
    plans.add(plan)
    assert plan == replace(plans.get(plan.id), created_at=None)
    assert plans.mark_applied(plan.id)
    assert not plans.mark_applied(plan.id)


def test_the_named_columns_of_a_definition_can_be_read_with_sql(
    store: Metastore, record: DefinitionRecord, sql: psycopg.Connection
):
    DefinitionStore(store).add(record, actor="me")
    [row] = sql.execute(
        "select name, sync_mode, conflict_policy, key_strategy, row_filter, source_schema, source_table_name"
        " from syncbridge.sync_definitions"
    ).fetchall()
    assert ("projects", "ONE_WAY_PUSH", "SOURCE_WINS", "PRIMARY_KEY", "state = 'a'", "app", "t") == row


def test_what_a_person_agreed_to_comes_back(store: Metastore, record: DefinitionRecord):
    stores, terms = DefinitionStore(store), terms_of_record(record)
    stores.add(record, actor="me")
    assert stores.get(record.id).agreed_terms is None
    stores.agree_terms(record.id, json.dumps(asdict(terms)), actor="me")
    assert stores.get(record.id).agreed_terms == terms
    pulled = replace(record, fields=(replace(record.fields[0], direction=Direction.BIDIRECTIONAL, group="g"),))
    saved = stores.save(replace(pulled, agreed_terms=terms_of_record(pulled)), actor="me")
    assert saved.agreed_terms == terms_of_record(pulled) != terms
