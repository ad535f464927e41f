"""What a process keeps open, and who is who: wires the adapters to what the engine asks of the world."""

import random

from shared import __version__
from shared.adapters.graph.client import GraphClient
from shared.adapters.hosts import HostRules
from shared.adapters.metastore.budget import BudgetStore
from shared.adapters.metastore.pool import Metastore
from shared.adapters.queue import StorageQueues
from shared.core.catalog import DatabaseInstance, SharePointConnection
from shared.core.definition import SyncDefinition
from shared.core.ids import DefinitionId
from shared.core.record import DefinitionRecord, compiled
from shared.handles import Graphs, Secrets, Sources, timing_within
from shared.ports import Clock, IdSource, Queue
from shared.process import identity_token, own_credential
from shared.settings import Settings
from shared.settle.job import Limits, Tools
from shared.stores import stores_of


class Parts:
    """One per process. Nothing is connected before `open`."""

    def __init__(
        self, settings: Settings, *, clock: Clock, ids: IdSource, metastore: Metastore, secrets: Secrets
    ) -> None:
        self.settings, self.clock, self.ids, self.secrets = settings, clock, ids, secrets
        self.metastore = metastore
        hosts = HostRules(allowed=settings.allowed_hosts)
        self.stores = stores_of(metastore)
        self.queue: Queue = StorageQueues(
            settings.queue_connection, service=settings.queue_service, credential=own_credential
        )
        self.sources = Sources(
            secrets=secrets,
            hosts=hosts,
            pool_size=settings.pool_size,
            identity_token=identity_token,
            clock=clock,
            ids=ids,
        )
        self.graphs = Graphs(
            secrets=secrets,
            hosts=hosts,
            clock=clock,
            ids=ids,
            company=settings.company,
            version=__version__,
            timing=timing_within(settings.request_timeout),
            budget=lambda connection, limit: BudgetStore(
                metastore, tenant=connection.tenant_id, client=connection.client_id, limit=limit
            ),
        )

    def open(self) -> None:
        """Connects to nothing: the first use does, and says then whether the metastore's schema is not this release's."""
        self.metastore.open()
        self.graphs.open()

    def close(self) -> None:
        self.queue.close()
        self.graphs.close()
        self.sources.close()
        self.metastore.close()

    def definition(self, definition: DefinitionId) -> tuple[DefinitionRecord, SyncDefinition]:
        record = self.stores.definitions.get(definition)
        return record, compiled(record)

    def instance_of(self, record: DefinitionRecord) -> DatabaseInstance:
        return self.stores.instances.get(record.instance_id)

    def connection_of(self, record: DefinitionRecord) -> SharePointConnection:
        return self.stores.connections.get(record.target.connection_id)

    def tools(self, record: DefinitionRecord, definition: SyncDefinition, client: GraphClient) -> Tools:
        stores, instance = self.stores, self.instance_of(record)
        return Tools(
            source=self.sources.tables(instance),
            rows=self.sources.writer(instance),
            lists=self.graphs.lists(client, definition),
            backlog=stores.backlog,
            ledger=stores.ledger,
            holds=stores.holds,
            clock=self.clock,
            ids=self.ids,
            jitter=random.random,
            wishes=stores.conflicts,
            renames=stores.renames,
            positions=stores.cursors,
        )

    def limits(self) -> Limits:
        settings = self.settings
        return Limits(
            page=settings.page_size,
            lease=settings.lease,
            request_timeout=settings.request_timeout,
            surface=settings.surface,
        )
