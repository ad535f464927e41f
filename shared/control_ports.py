"""What the use cases of the control plane need of the world, as Protocols."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from shared.core.catalog import (
    AuditEntry,
    Checked,
    DatabaseInstance,
    KeptSecret,
    KnownList,
    KnownSite,
    SharePointConnection,
)
from shared.core.definition import DefinitionState, SourceSpec
from shared.core.ids import ConnectionId, DefinitionId, InstanceId, ListId, SiteId
from shared.core.list_columns import ListColumn
from shared.core.needs import Needs
from shared.core.problems import Problem
from shared.core.provisioning import CheckedList, ListPlan, ProvisionedList
from shared.core.record import DefinitionRecord
from shared.core.snapshot import TableSnapshot
from shared.core.source import TableRef
from shared.core.watching import GraphSubscription, ListSubscription, Wanted


class Instances(Protocol):
    """Raises NotFound; Conflicting for a name that is taken and for removing what is in use. Changes are audited."""

    def add(self, instance: DatabaseInstance, *, actor: str) -> None: ...

    def get(self, instance_id: InstanceId) -> DatabaseInstance: ...

    def list(self) -> Sequence[DatabaseInstance]: ...

    def replace(self, instance: DatabaseInstance, *, actor: str) -> None: ...

    def remove(self, instance_id: InstanceId, *, actor: str) -> None: ...

    def record_check(self, instance_id: InstanceId, checked: Checked) -> None: ...


class Connections(Protocol):
    """As Instances."""

    def add(self, connection: SharePointConnection, *, actor: str) -> None: ...

    def get(self, connection_id: ConnectionId) -> SharePointConnection: ...

    def list(self) -> Sequence[SharePointConnection]: ...

    def replace(self, connection: SharePointConnection, *, actor: str) -> None: ...

    def remove(self, connection_id: ConnectionId, *, actor: str) -> None: ...

    def record_check(self, connection_id: ConnectionId, checked: Checked) -> None: ...


class Inventory(Protocol):
    def save_sites(self, sites: Sequence[KnownSite]) -> None: ...

    def sites(self, connection_id: ConnectionId) -> Sequence[KnownSite]: ...

    def save_lists(self, lists: Sequence[KnownList]) -> None: ...

    def lists(self, connection_id: ConnectionId, site_id: SiteId) -> Sequence[KnownList]: ...


class Snapshots(Protocol):
    def save(self, instance_id: InstanceId, snapshot: TableSnapshot) -> bool:
        """Keeps it if it differs from the latest of its table; True: it did, or it is the first."""

    def latest(self, instance_id: InstanceId, table: TableRef) -> TableSnapshot | None: ...

    def tables(self, instance_id: InstanceId) -> Sequence[TableRef]: ...


class Definitions(Protocol):
    """Every change makes a new version, is compared and set on the version it was made from, and is audited.

    Raises NotFound; Conflicting for a moved version, a taken name, a list that another definition has."""

    def add(self, record: DefinitionRecord, *, actor: str) -> DefinitionRecord: ...

    def get(self, definition: DefinitionId) -> DefinitionRecord: ...

    def list(self, *, deleted: bool = False) -> Sequence[DefinitionRecord]: ...

    def save(self, record: DefinitionRecord, *, actor: str, wants_run: bool = False) -> DefinitionRecord:
        """`record.version` is the version it was made from; answers with the new one. `wants_run`: see want_run."""

    def set_state(
        self, definition: DefinitionId, *, was: DefinitionState, state: DefinitionState, reason: str | None, actor: str
    ) -> DefinitionRecord: ...

    def versions(self, definition: DefinitionId) -> Sequence[Mapping[str, Any]]: ...

    def due(self, now: datetime) -> Sequence[DefinitionRecord]:
        """Active definitions whose next run is due (or was never set), or wanted."""

    def want_run(self, definition: DefinitionId) -> None:
        """A person waits for the next run: it is due, and stays so while one is under way."""

    def set_marked_fields(self, definition: DefinitionId, fields: bytes) -> None:
        """All rows that were agreed on under other fields than these are marked."""

    def set_scan_seconds(self, definition: DefinitionId, seconds: float) -> None: ...

    def agree_scope(self, definition: DefinitionId, fingerprint: bytes, *, actor: str) -> None: ...

    def agree_terms(self, definition: DefinitionId, terms: str, *, actor: str) -> None:
        """`terms`: as the hold that was released kept them, a JSON document."""

    def owner_of(self, list_id: ListId) -> DefinitionId | None: ...


class Watches(Protocol):
    """When a definition's lists are read for changes."""

    def notice(self, definition: DefinitionId) -> bool:
        """Somebody says that a list changed. False: there is no such definition."""

    def take(self, definition: DefinitionId) -> None:
        """A run is about to read the lists: notices up to now are answered by it."""

    def pending(self, definition: DefinitionId) -> bool:
        """Whether a notice came after a run last took them in."""

    def due(self, now: datetime) -> Sequence[tuple[DefinitionId, datetime | None, bool]]:
        """Definitions whose lists are to be read, with the time of their next poll and whether they were noticed. None
        that is held, or is being read."""

    def set_next(self, definition: DefinitionId, *, was: datetime | None, next_at: datetime) -> bool:
        """The next poll's time; False: somebody else has moved it."""

    def after_reading(self, definition: DefinitionId, *, earliest: datetime, retry_at: datetime | None) -> None:
        """A run has ended: the next poll comes when edits of people that had to wait are due, or at `retry_at`, if that is
        sooner; not before `earliest`."""


class ListSubscriptions(Protocol):
    """The metastore's knowledge of subscriptions. What changes a row answers False when it is not as it was read any more."""

    def of_definition(self, definition: DefinitionId) -> Sequence[ListSubscription]: ...

    def due(self, now: datetime, *, wanted: bool) -> Sequence[DefinitionId]:
        """Definitions with a subscription to look after; with `wanted`, those too that have none and should."""

    def add(self, row_id: UUID, wanted: Wanted, *, look_at: datetime) -> bool: ...

    def claim(self, row: ListSubscription, *, until: datetime) -> bool:
        """Moves `look_at` to `until`: whoever did writes from now on with the row as it is then."""

    def asked(self, row: ListSubscription, client_state_hash: bytes) -> bool:
        """Graph is about to be asked for one with this client state."""

    def live(
        self,
        row: ListSubscription,
        found: GraphSubscription,
        *,
        renew_at: datetime,
        verified_at: datetime,
        next_look: datetime,
    ) -> bool: ...

    def lost(self, row: ListSubscription) -> bool:
        """Graph does not have it any more, for certain."""

    def failed(self, row: ListSubscription, *, code: str, message: str, next_look: datetime) -> bool: ...

    def remove(self, row: ListSubscription) -> bool: ...

    def soon(self, subscription: str, *, at: datetime) -> bool:
        """It wants to be renewed."""

    def removed(self, subscription: str, *, at: datetime) -> bool:
        """Graph says that it is gone."""


class GraphSubscriptions(Protocol):
    """The subscriptions of one application at Graph. Raises Throttled, GraphUnavailable, PermissionMissing,
    ConfigurationError, ListGone."""

    def create(
        self,
        site_id: SiteId,
        list_id: ListId,
        *,
        notification_url: str,
        client_state: str,
        expires: datetime,
        lifecycle_url: str | None = None,
    ) -> GraphSubscription:
        """Graph calls both URLs before it answers. After GraphUnavailable it may exist all the same."""

    def renew(self, subscription_id: str, *, expires: datetime) -> GraphSubscription | None:
        """None: it is gone."""

    def delete(self, subscription_id: str) -> None:
        """One that is gone already is deleted."""

    def mine(self) -> Sequence[GraphSubscription]:
        """Those that live."""


class Audit(Protocol):
    def record(self, entry: AuditEntry) -> None: ...

    def entries(self, *, subject_id: str | None = None, limit: int = 100) -> Sequence[AuditEntry]: ...


class Sealer(Protocol):
    """Secrets: sealed when they come in, opened only where a connection is made."""

    def seal(self, table: str, row_id: UUID, secret: str) -> KeptSecret:
        """Raises ConfigurationError when no key is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    id: UUID
    definition: DefinitionId
    document: Mapping[str, Any]
    base: bytes
    created_by: str
    created_at: datetime | None = None
    applied_at: datetime | None = None


class Plans(Protocol):
    def add(self, plan: Plan) -> None: ...

    def get(self, plan_id: UUID) -> Plan: ...

    def made_for(self, definition: DefinitionId) -> bool:
        """Whether there is a plan of the definition as it is now."""

    def mark_applied(self, plan_id: UUID) -> bool: ...


class SourceAdmin(Protocol):
    """One database, as set-up sees it. Raises SourceUnavailable, PermissionMissing, ConfigurationError."""

    def health(self) -> Checked: ...

    def tables(self) -> Sequence[TableRef]: ...

    def introspect(self, table: TableRef) -> TableSnapshot: ...

    def check(self, spec: SourceSpec, needs: Needs | None = None) -> tuple[Problem, ...]:
        """Missing rights, each with the SQL that gives it, and what the data says about the key and the cursor."""


class SharePointAdmin(Protocol):
    """One connection, as set-up sees it. Raises GraphUnavailable, Throttled, PermissionMissing, ConfigurationError."""

    def health(self) -> Checked: ...

    def find_sites(
        self, *, search: str | None = None, url: str | None = None, team: UUID | None = None
    ) -> Sequence[KnownSite]: ...

    def lists(self, site_id: SiteId) -> Sequence[KnownList]: ...

    def columns(self, site_id: SiteId, list_id: ListId) -> Sequence[ListColumn]: ...

    def check_rights(self, site_id: SiteId, own: CheckedList | None = None) -> tuple[Problem, ...]:
        """With `own`, writing is tried there where no list can be made, and whether the site has the zone of its days."""

    def provision(self, site_id: SiteId, plan: ListPlan) -> ProvisionedList: ...

    def keeps_versions(self, site_id: SiteId, list_id: ListId) -> bool:
        """As far as its items tell."""
