"""What a process keeps open: one pool per source database, one token cache per SharePoint connection, one HTTP client."""

import base64
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

import httpx

from shared.adapters.graph.admin import GraphAdmin
from shared.adapters.graph.auth import (
    ClientCertificate,
    ClientSecret,
    Credential,
    FederatedAssertion,
    ManagedIdentity,
    TokenSource,
    identity_assertion,
    token_source,
)
from shared.adapters.graph.client import GraphClient, Timing, open_http, user_agent
from shared.adapters.graph.clouds import ENDPOINTS, Endpoints, custom_endpoints
from shared.adapters.graph.items import SharePointLists, columns_to_read
from shared.adapters.hosts import HostRules
from shared.adapters.postgres.address import Address, Limits, TlsMode
from shared.adapters.postgres.admin import PostgresAdmin
from shared.adapters.postgres.connection import SourceDatabase
from shared.adapters.postgres.replication import open_feed
from shared.adapters.postgres.slots import SlotAdmin
from shared.adapters.postgres.source import PostgresSource
from shared.adapters.postgres.writing import PostgresWriter
from shared.adapters.secrets import SealingKey, Secret, SecretResolver
from shared.core.backlog import Lane
from shared.core.catalog import (
    Cloud,
    ConnectionAuth,
    DatabaseInstance,
    InstanceAuth,
    KeptSecret,
    SharePointConnection,
)
from shared.core.definition import SyncDefinition
from shared.core.errors import ConfigurationError
from shared.core.estimate import Ceiling, ceiling
from shared.core.replication import Lsn
from shared.ports import Budget, ChangeFeed, Clock, IdSource

T = TypeVar("T")

INSTANCES, CONNECTIONS = "database_instances", "sharepoint_connections"
POSTGRES_AUDIENCE = "https://ossrdbms-aad.database.windows.net"
"""Whom Entra tokens for Azure Database for PostgreSQL are for: learn.microsoft.com/azure/postgresql (Entra sign-in)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """Opens what is kept: references by the resolver, sealed bytes by the key."""

    resolver: SecretResolver
    key: SealingKey | None

    def open(self, kept: KeptSecret, *, table: str, row_id: UUID, owner: str) -> Secret | None:
        if kept.reference is not None:
            return self.resolver.resolve(kept.reference)
        if kept.sealed is None:
            return None
        if self.key is None:
            raise ConfigurationError(
                f"{owner} has a sealed secret and SYNCBRIDGE_SECRET_KEY is not set: set it, or use a reference",
                code="secret_key",
            )
        return self.key.unseal(kept.sealed, table=table, row_id=str(row_id))

    def seal(self, table: str, row_id: UUID, secret: str) -> KeptSecret:
        """Satisfies the port Sealer."""
        if self.key is None:
            raise ConfigurationError(
                "a secret can only be kept when SYNCBRIDGE_SECRET_KEY is set: set it, or give a reference "
                "(env:NAME or keyvault:NAME)",
                code="secret_key",
            )
        return KeptSecret(sealed=self.key.seal(Secret(secret), table=table, row_id=str(row_id)))


@dataclass(slots=True)
class _Cached(Generic[T]):
    stamp: datetime | None
    value: T


@dataclass(slots=True, kw_only=True)
class Sources:
    """Pools of source databases; a changed instance gets a new pool."""

    secrets: Secrets
    hosts: HostRules
    pool_size: int
    identity_token: Callable[[str], str]
    """A token of the process' own identity for an audience."""
    clock: Clock
    ids: IdSource
    _open: dict[tuple[UUID, str], _Cached[SourceDatabase]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def database(self, instance: DatabaseInstance) -> SourceDatabase:
        return self._pool(instance, "source", self.pool_size)

    def _pool(self, instance: DatabaseInstance, use: str, connections: int) -> SourceDatabase:
        with self._lock:
            cached = self._open.get((instance.id, use))
            if cached is not None and cached.stamp == instance.updated_at:
                return cached.value
            database = SourceDatabase(
                self.address(instance),
                admit=self.hosts.admit,
                limits=Limits(connections=connections),
                name=f"{use} {instance.name}",
            )
            database.open()
            self._open[instance.id, use] = _Cached(instance.updated_at, database)
        if cached is not None:
            cached.value.close()
        return database

    def address(self, instance: DatabaseInstance) -> Address:
        def password() -> Secret | None:
            if instance.auth_method is InstanceAuth.ENTRA:
                return Secret(self.identity_token(POSTGRES_AUDIENCE))
            return self.secrets.open(
                instance.secret, table=INSTANCES, row_id=instance.id, owner=f"database instance {instance.name!r}"
            )

        return Address(
            host=instance.host,
            port=instance.port,
            dbname=instance.db_name,
            user=instance.db_user,
            tls=TlsMode(instance.tls_mode),
            password=password,
        )

    def tables(self, instance: DatabaseInstance) -> PostgresSource:
        return PostgresSource(self.database(instance))

    def slots(self, instance: DatabaseInstance) -> SlotAdmin:
        return SlotAdmin(self.database(instance))

    def feed(self, instance: DatabaseInstance, *, slot: str, at: Lsn) -> ChangeFeed:
        """The slot's changes behind `at`, over a connection of its own."""
        return open_feed(self.address(instance), admit=self.hosts.admit, clock=self.clock, slot=slot, at=at)

    def writer(self, instance: DatabaseInstance) -> PostgresWriter:
        """Beside the pool it has one connection that makes transactions' names durable; it is opened when needed."""
        flusher = self._pool(instance, "log of", 1)
        return PostgresWriter(self.database(instance), flusher=flusher, clock=self.clock, ids=self.ids)

    def admin(self, instance: DatabaseInstance) -> PostgresAdmin:
        return PostgresAdmin(self.database(instance), admit=self.hosts.admit)

    def close(self) -> None:
        with self._lock:
            for cached in self._open.values():
                cached.value.close()
            self._open.clear()


@dataclass(slots=True, kw_only=True)
class Graphs:
    """Token caches per connection over one HTTP client; clients are made per run and lane."""

    secrets: Secrets
    hosts: HostRules
    clock: Clock
    ids: IdSource
    company: str
    version: str
    timing: Timing
    budget: Callable[[SharePointConnection, Ceiling], Budget]
    _http: httpx.Client | None = None
    _tokens: dict[UUID, _Cached[TokenSource]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self) -> None:
        self._http = open_http(self.timing)

    def close(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None
        self._tokens.clear()

    def client(self, connection: SharePointConnection, lane: Lane) -> GraphClient:
        assert self._http is not None, "the engine is open"  # noqa: S101
        endpoints = self.endpoints(connection)
        return GraphClient(
            http=self._http,
            cloud=endpoints,
            tokens=self._token_source(connection, endpoints, self._http),
            budget=self.budget(connection, ceiling_of(connection)),
            lane=lane,
            clock=self.clock,
            ids=self.ids,
            agent=connection.user_agent or user_agent(self.company, self.version),
            timing=self.timing,
        )

    @staticmethod
    def lists(client: GraphClient, definition: SyncDefinition) -> SharePointLists:
        return SharePointLists(client, columns_to_read(definition.fields))

    def admin(self, connection: SharePointConnection) -> GraphAdmin:
        return GraphAdmin(self.client(connection, Lane.PEOPLE), connection.id)

    def endpoints(self, connection: SharePointConnection) -> Endpoints:
        if connection.cloud is Cloud.CUSTOM:
            return custom_endpoints(
                connection.graph_url or "", connection.login_url or "", allowed_hosts=self.hosts.names
            )
        return ENDPOINTS[connection.cloud]

    def _token_source(self, kept: SharePointConnection, endpoints: Endpoints, http: httpx.Client) -> TokenSource:
        with self._lock:
            cached = self._tokens.get(kept.id)
            if cached is not None and cached.stamp == kept.updated_at:
                return cached.value
            made = token_source(
                endpoints,
                tenant=kept.tenant_id,
                client_id=kept.client_id,
                credential=self._credential(kept, http),
                http=http,
                clock=self.clock,
            )
            self._tokens[kept.id] = _Cached(kept.updated_at, made)
            return made

    def _credential(self, kept: SharePointConnection, http: httpx.Client) -> Credential:
        owner = f"SharePoint connection {kept.name!r}"
        secret = self.secrets.open(kept.secret, table=CONNECTIONS, row_id=kept.id, owner=owner)
        match kept.auth_method:
            case ConnectionAuth.MANAGED_IDENTITY:
                return ManagedIdentity(client_id=kept.client_id or None)
            case ConnectionAuth.FEDERATED:
                return FederatedAssertion(assertion=identity_assertion(ManagedIdentity(), http))
            case ConnectionAuth.SECRET if secret is not None:
                return ClientSecret(secret=secret.reveal())
            case ConnectionAuth.CERTIFICATE if secret is not None:
                text = secret.reveal()
                if "-----BEGIN" in text:
                    return ClientCertificate(pem=text)
                return ClientCertificate(pfx=base64.b64decode(text))
            case _:
                raise ConfigurationError(
                    f"{owner} has no secret: give it one, by value or by reference", code="no_secret"
                )


def ceiling_of(connection: SharePointConnection) -> Ceiling:
    return ceiling(
        connection.licence_count,
        connection.ru_multiplier,
        per_minute=connection.ru_per_minute,
        per_day=connection.ru_per_day,
    )


def timing_within(request_timeout: timedelta) -> Timing:
    """Graph's time-outs, scaled so that no request takes longer than this."""
    whole = Timing()
    share = request_timeout.total_seconds() / whole.request_timeout
    return Timing(
        connect=whole.connect * share,
        pool=whole.pool * share,
        write=whole.write * share,
        read=whole.read * share,
        body=whole.body * share,
        inline_wait=whole.inline_wait,
        start=whole.start * share,
    )
