"""The metastore, noun by noun."""

from dataclasses import dataclass

from shared.adapters.metastore.audit import AuditStore
from shared.adapters.metastore.backlog import BacklogStore
from shared.adapters.metastore.catalog import ConnectionStore, InstanceStore
from shared.adapters.metastore.conflicts import ConflictStore
from shared.adapters.metastore.cursors import CursorStore
from shared.adapters.metastore.definitions import DefinitionStore
from shared.adapters.metastore.discovery import InventoryStore, PlanStore, SnapshotStore
from shared.adapters.metastore.enumerations import EnumerationStore
from shared.adapters.metastore.holds import HoldStore
from shared.adapters.metastore.ledger import LedgerStore
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.renames import RenameStore
from shared.adapters.metastore.retention import Retention
from shared.adapters.metastore.runs import RunStore
from shared.adapters.metastore.scans import ScanStore
from shared.adapters.metastore.streams import StreamStore
from shared.adapters.metastore.subscriptions import SubscriptionStore
from shared.adapters.metastore.watches import WatchStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    instances: InstanceStore
    connections: ConnectionStore
    inventory: InventoryStore
    snapshots: SnapshotStore
    definitions: DefinitionStore
    plans: PlanStore
    audit: AuditStore
    backlog: BacklogStore
    ledger: LedgerStore
    scans: ScanStore
    cursors: CursorStore
    enumerations: EnumerationStore
    runs: RunStore
    holds: HoldStore
    conflicts: ConflictStore
    watches: WatchStore
    subscriptions: SubscriptionStore
    streams: StreamStore
    renames: RenameStore
    retention: Retention


def stores_of(metastore: Metastore) -> Stores:
    return Stores(
        instances=InstanceStore(metastore),
        connections=ConnectionStore(metastore),
        inventory=InventoryStore(metastore),
        snapshots=SnapshotStore(metastore),
        definitions=DefinitionStore(metastore),
        plans=PlanStore(metastore),
        audit=AuditStore(metastore),
        backlog=BacklogStore(metastore),
        ledger=LedgerStore(metastore),
        scans=ScanStore(metastore),
        cursors=CursorStore(metastore),
        enumerations=EnumerationStore(metastore),
        runs=RunStore(metastore),
        holds=HoldStore(metastore),
        conflicts=ConflictStore(metastore),
        watches=WatchStore(metastore),
        subscriptions=SubscriptionStore(metastore),
        streams=StreamStore(metastore),
        renames=RenameStore(metastore),
        retention=Retention(metastore),
    )
