"""What the control plane keeps: databases, SharePoint connections, discovered sites and lists, audit entries."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.core.ids import ConnectionId, InstanceId, ListId, SiteId


class Health(StrEnum):
    UNKNOWN = "UNKNOWN"
    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    UNREACHABLE = "UNREACHABLE"


class InstanceRole(StrEnum):
    PRIMARY = "PRIMARY"
    REPLICA = "REPLICA"


class InstanceAuth(StrEnum):
    PASSWORD = "PASSWORD"  # noqa: S105  the name of a method
    ENTRA = "ENTRA"


class ConnectionAuth(StrEnum):
    SECRET = "SECRET"  # noqa: S105  the name of a method
    CERTIFICATE = "CERTIFICATE"
    MANAGED_IDENTITY = "MANAGED_IDENTITY"
    FEDERATED = "FEDERATED"


class Cloud(StrEnum):
    GLOBAL = "GLOBAL"
    USGOV = "USGOV"
    USGOV_DOD = "USGOV_DOD"
    CHINA = "CHINA"
    CUSTOM = "CUSTOM"
    """Addresses of one's own, such as the local simulator's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSecret:
    """Where a secret is: a reference (env:NAME, keyvault:NAME), or sealed bytes; never the secret itself."""

    reference: str | None = None
    sealed: bytes | None = field(default=None, repr=False)

    def describe(self) -> str | None:
        return self.reference if self.reference is not None else "sealed" if self.sealed is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The last health check: `details` are sentences and figures for people."""

    health: Health = Health.UNKNOWN
    details: Mapping[str, Any] = field(default_factory=dict)
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseInstance:
    id: InstanceId
    name: str
    host: str
    port: int
    db_name: str
    db_user: str
    secret: KeptSecret = field(default_factory=KeptSecret)
    auth_method: InstanceAuth = InstanceAuth.PASSWORD
    tls_mode: str = "verify-full"
    role: InstanceRole = InstanceRole.PRIMARY
    priority: int = 100
    checked: Checked = field(default_factory=Checked)
    updated_at: datetime | None = None
    """Grows with every change: caches of connections are keyed by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharePointConnection:
    id: ConnectionId
    name: str
    tenant_id: str
    client_id: str
    auth_method: ConnectionAuth
    secret: KeptSecret = field(default_factory=KeptSecret)
    cloud: Cloud = Cloud.GLOBAL
    graph_url: str | None = None
    login_url: str | None = None
    licence_count: int = 0
    ru_multiplier: float = 1.0
    ru_per_minute: int | None = None
    ru_per_day: int | None = None
    user_agent: str | None = None
    checked: Checked = field(default_factory=Checked)
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSite:
    connection_id: ConnectionId
    site_id: SiteId
    display_name: str
    web_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownList:
    connection_id: ConnectionId
    site_id: SiteId
    list_id: ListId
    display_name: str
    web_url: str
    template: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change of configuration. `before` and `after` hold references to secrets, never secrets."""

    actor: str
    action: str
    subject_kind: str
    subject_id: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    at: datetime | None = None
