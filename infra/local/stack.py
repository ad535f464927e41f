"""Brings up the parts of a stack in order: PostgreSQL, queues, the simulated SharePoint, the Functions host, the poller."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from infra.local import azurite, host_process, poller_process, postgres, simulator, source
from infra.local.host_process import HostKind
from infra.local.ports import free_port
from infra.local.postgres import PostgresServer
from infra.local.processes import Child
from infra.local.sample.generate import Counts
from infra.local.sharepoint import Tenant, add_tenant, deliver_notices_here
from infra.local.simulator import Simulator
from infra.local.state import State, save
from infra.local.supervisor import Supervisor

_LISTENERS = ("postgres", "azurite", "simulator", "host", "poller")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What runs, and how to reach it."""

    state: State
    server: PostgresServer
    simulator: Simulator
    tenant: Tenant
    host: Child
    host_url: str
    poller: Child
    poller_url: str
    """Where it answers /healthz and /readyz."""
    settings: Mapping[str, str] = field(repr=False)
    """What the host was started with, the connection strings of the other parts among it."""

    @property
    def api_url(self) -> str:
        """The control API's root."""
        return f"{self.host_url}/api/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to bring a stack up. `keep_open`: file descriptors that every part inherits (the directory's lock).

    `multiplier`: how many times the smallest tier's budget the tenant has. `settings`: app settings
    beside, or instead of, what the parts need.
    """

    host: HostKind = "local"
    durable: bool = True
    counts: Counts
    keep_open: tuple[int, ...] = ()
    multiplier: float = 1.0
    settings: Mapping[str, str] = field(default_factory=dict)


def bring_up(state: State, supervisor: Supervisor, options: Options, say: Callable[[str], None]) -> Stack:
    """Start every part, each as soon as what it needs is ready. Raises LocalStackError with what to do."""
    keep = options.keep_open
    ports = {part: free_port(state.ports.get(part)) for part in _LISTENERS}
    state = replace(state, ports=ports)
    save(state)  # before anything is made with the passwords in it
    with _step(say, "PostgreSQL") as detail:
        server = postgres.start(
            state.postgres_base,
            port=ports["postgres"],
            password=state.postgres_password,
            durable=options.durable,
            keep_open=keep,
        )
        supervisor.add(server.child)
        detail(f"version {postgres.major_version(server.binaries)} on port {server.port}")
    with _step(say, "metastore") as detail:
        metastore = source.prepare_metastore(server)
        detail("migrated")
    with _step(say, "business database") as detail:
        made = source.prepare_source(server, password=state.source_password, counts=options.counts)
        detail(f"{options.counts.projects:,} projects generated" if made else "found as it was")
    with _step(say, "queues (Azurite)") as detail:
        queues = azurite.start(
            state.directory / "azurite", port=ports["azurite"], everything=options.host == "func", keep_open=keep
        )
        supervisor.add(queues.child)
        detail(f"port {queues.port}")
    with _step(say, "simulated SharePoint") as detail:
        sharepoint = simulator.start(
            state.directory / "simulator",
            port=ports["simulator"],
            keep_open=keep,
        )
        supervisor.add(sharepoint.child)
        tenant = add_tenant(sharepoint.url, name="local", licences=1_000, multiplier=options.multiplier)
        deliver_notices_here(sharepoint.url)
        detail(f"port {sharepoint.port}")
    with _step(say, "Functions host") as detail:
        settings = {
            "FUNCTIONS_WORKER_RUNTIME": "python",
            # More than host.json's activities at a time: settle activities must not keep orchestrators waiting.
            "PYTHON_THREADPOOL_THREAD_COUNT": "16",
            "LOCAL_HOST_MASTER_KEY": state.host_key,
            "AzureWebJobsStorage": queues.connection_string,
            "SYNCBRIDGE_TICK_SCHEDULE": "*/15 * * * * *",
            "SYNCBRIDGE_METASTORE_DSN": metastore,
            "SYNCBRIDGE_QUEUE_CONNECTION": queues.connection_string,
            "SYNCBRIDGE_WEBHOOK_URL": f"http://127.0.0.1:{ports['host']}",
            "SYNCBRIDGE_SECRET_KEY": state.secret_key,
            "SYNCBRIDGE_ALLOWED_HOSTS": "127.0.0.1,localhost",
            **options.settings,
        }
        host = start_host(state, settings, options)
        supervisor.add(host)
        detail(f"port {ports['host']}")
    with _step(say, "poller") as detail:
        poller = poller_process.start(port=ports["poller"], directory=state.directory, values=settings, keep_open=keep)
        supervisor.add(poller)
        detail(f"port {ports['poller']}")
    return Stack(
        state=state,
        server=server,
        simulator=sharepoint,
        tenant=tenant,
        host=host,
        host_url=f"http://127.0.0.1:{ports['host']}",
        poller=poller,
        poller_url=f"http://127.0.0.1:{ports['poller']}",
        settings=settings,
    )


def start_host(state: State, settings: Mapping[str, str], options: Options) -> Child:
    """Start the Functions host on its remembered port, with its remembered state."""
    return host_process.start(
        options.host,
        port=state.ports["host"],
        directory=state.directory,
        values=settings,
        keep_open=options.keep_open,
    )


@contextmanager
def _step(say: Callable[[str], None], name: str) -> Iterator[Callable[[str], None]]:
    """Says what was done and how long it took; nothing if it failed."""
    began, details = time.monotonic(), list[str]()
    yield details.append
    say(f"  {name:<22} {', '.join(details):<40} {time.monotonic() - began:5.1f} s")
