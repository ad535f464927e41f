"""Change streams: how fast a slot is read into the queue, what that takes of memory, and how late a change is.

Reading is measured beside `pg_recvlogical -f /dev/null`, PostgreSQL's own reader, which decodes nothing: each reads a slot
of its own that was made before the changes, in turns. How late a change is, is measured on the whole local stack, by the
demo's own act.
"""

import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import psycopg

from infra.local import azurite
from infra.local.demo.acts import cdc
from infra.local.demo.http import Api
from infra.local.demo.report import Report
from infra.local.demo.setup import register_database
from infra.local.demo.work import Work
from infra.local.postgres import PostgresServer
from infra.local.postgres import start as start_postgres
from infra.local.sample.generate import Counts
from infra.local.simulator import ROOT
from infra.local.stack import Options, bring_up
from infra.local.state import load
from infra.local.supervisor import supervised
from shared.adapters.postgres.address import Address, TlsMode
from shared.adapters.postgres.connection import SourceDatabase
from shared.adapters.postgres.introspection import introspect
from shared.adapters.postgres.replication import open_feed
from shared.adapters.postgres.slots import SlotAdmin
from shared.adapters.queue import StorageQueues
from shared.adapters.secrets import Secret
from shared.core.changes import ChangeMessage, SlotIdentity, pack
from shared.core.gathering import Gatherer, Watch
from shared.core.ids import InstanceId
from shared.core.pgoutput import Decoder
from shared.core.replication import MESSAGE, PAYLOAD, Lsn, decode_frame, lsn_text, parse_lsn
from shared.core.slots import PUBLICATION, Progress
from shared.core.source import TableRef
from shared.poller.outbox import Outbox
from shared.process import RandomIds, SystemClock
from tests.bench.figures import Figure

TABLES = {
    "narrow": ("id bigint primary key, n int", "g, g"),
    "wide": (
        "id bigint primary key, " + ", ".join(f"c{n} text" for n in range(19)),
        "g, " + ", ".join("'some text of a row ' || g" for _ in range(19)),
    ),
}
MOST_MEGABYTES = 200
"""Of the reading process, over one transaction of a million rows."""
LATEST = 1.0
"""Seconds from a commit to the item, for 99 of 100."""


def measure(*, changes: int, rounds: int, rows: int) -> list[Figure]:
    with _source() as (server, database):
        figures = [_rate(server, database, name, changes, rounds) for name in TABLES]
        figures += _memory(server, database, rows)
    return figures + _whole(written=changes)


# ---------------------------------------------------------------- how fast


def _rate(server: PostgresServer, database: SourceDatabase, name: str, changes: int, rounds: int) -> Figure:
    columns, values = TABLES[name]
    with psycopg.connect(_dsn(server), autocommit=True) as connection:
        connection.execute(f"create table {name} ({columns})".encode())
        admin, table = SlotAdmin(database), introspect(database, TableRef(schema="public", name=name))
        admin.publish([(table.table, table.kind)])
        slots = [f"{name}_{kind}_{n}" for n in range(rounds) for kind in ("raw", "ours")]
        begins = {slot: admin.create(slot) for slot in slots}
        for first in range(1, changes + 1, 1000):
            last = min(first + 999, changes)
            connection.execute(f"insert into {name} select {values} from generate_series({first}, {last}) g".encode())
        end = _wal_end(connection)
    ours, raw = [], []
    watch = Watch(table=table.table, key=tuple(c for c in table.columns if c.name == "id"))
    with _queue() as queue:
        for n in range(rounds):
            raw.append(changes / _timed(lambda n=n: _recvlogical(server, f"{name}_raw_{n}", end)))  # type: ignore[misc]
            slot = f"{name}_ours_{n}"
            ours.append(changes / _timed(lambda slot=slot: read(database, slot, begins[slot], end, watch, queue)))  # type: ignore[misc]
    for slot in slots:
        admin.drop(slot)
    return Figure(
        name=f"stream_{name}",
        value=median(ours),
        unit="changes/s",
        against=median(raw),
        note="pg_recvlogical into /dev/null; ours decodes, coalesces, and sends to a queue",
    )


def read(database: SourceDatabase, slot: str, begin: Lsn, end: Lsn, watch: Watch, queue: StorageQueues | None) -> None:
    """What a poller's session does with frames, up to a position; without a queue the messages are only made."""
    clock, ids = SystemClock(), RandomIds()
    identity = SlotIdentity(instance=InstanceId(ids.uuid()), system="1", timeline=1, name=slot, created=begin)
    feed = open_feed(database.address, admit=_admit, clock=clock, slot=slot, at=begin)
    gatherer, decoder = Gatherer(watches={watch.table: (watch,)}, complete=begin), Decoder()
    sent: Outbox | None = None
    if queue is not None:
        sent = Outbox(queue, "cdc-changes", clock=clock, jitter=lambda: 0.0, tired=lambda _: None, late=lambda _: None)

    def hand_over() -> None:
        batch = gatherer.take()
        if batch.committed_at is not None:
            message = ChangeMessage(
                slot=identity,
                first=batch.first,
                last=batch.last,
                committed_at=batch.committed_at,
                tables=batch.tables,
            )
            texts = list(pack(message))
            if sent is not None:
                sent.put(texts, Progress(queued=batch.complete))
        while sent is not None and not sent.room:
            sent.wait(1.0)
            confirm()

    def confirm() -> None:
        done = sent.safe() if sent is not None else Progress(queued=gatherer.complete)
        if done is not None:
            feed.confirm(done.queued)

    try:
        while gatherer.complete < end:
            for frame in feed.read(2_000, 1.0):
                if frame[0] != MESSAGE:
                    gatherer.idle(decode_frame(frame).server_end)
                    continue
                gatherer.feed(decoder.decode(frame, PAYLOAD))
                if gatherer.full:
                    hand_over()
            if not gatherer.empty:
                hand_over()
            confirm()
        while sent is not None and not sent.empty:
            sent.wait(1.0)
            confirm()
    finally:
        feed.close()
        if sent is not None:
            sent.close()


def _recvlogical(server: PostgresServer, slot: str, end: Lsn) -> None:
    command = [
        *(server.binaries / "pg_recvlogical", "--dbname", _dsn(server), "--slot", slot, "--start", "--no-loop"),
        *("--endpos", lsn_text(end), "-o", "proto_version=1", "-o", f"publication_names={PUBLICATION}"),
        *("--file", "/dev/null"),
    ]
    subprocess.run(list(map(str, command)), check=True, env={"LC_ALL": "C"})


# ---------------------------------------------------------------- how much memory


def _memory(server: PostgresServer, database: SourceDatabase, rows: int) -> list[Figure]:
    """One transaction, read by a process of its own that makes every message and confirms at the end."""
    with psycopg.connect(_dsn(server), autocommit=True) as connection:
        connection.execute("create table whole (id bigint primary key, a text, b int, c timestamptz, d text)")
        admin, table = SlotAdmin(database), introspect(database, TableRef(schema="public", name="whole"))
        admin.publish([(table.table, table.kind)])
        begin = admin.create("whole")
        connection.execute(
            "insert into whole select g, 'row ' || g, g, now(), 'more of it' from generate_series(1, %s) g", [rows]
        )
        end = _wal_end(connection)
    written = end - begin
    document = {"dsn": _dsn(server), "slot": "whole", "begin": begin, "end": end, "table": "whole"}
    command = [sys.executable, "-m", "tests.bench.changes", json.dumps(document)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    told = json.loads(done.stdout.splitlines()[-1])
    state = admin.slot("whole")
    admin.drop("whole")
    return [
        Figure(
            name="stream_memory",
            value=told["megabytes"],
            unit="MB",
            against=MOST_MEGABYTES,
            note=f"what it may take over one transaction of {rows:,} rows; idle it takes {told['idle']:.0f}",
        ),
        Figure(
            name="stream_log_kept",
            value=0.0 if state is None else state.behind,
            unit="bytes",
            against=written,
            note="what that transaction wrote: behind the confirmed position at the end",
        ),
    ]


def _child(document: dict[str, object]) -> None:
    with SourceDatabase(_address(str(document["dsn"])), admit=_admit) as database:
        table = introspect(database, TableRef(schema="public", name=str(document["table"])))
        watch = Watch(table=table.table, key=tuple(c for c in table.columns if c.name == "id"))
        idle = _most_megabytes()
        begin, end = Lsn(int(str(document["begin"]))), Lsn(int(str(document["end"])))
        read(database, str(document["slot"]), begin, end, watch, None)
    print(json.dumps({"idle": idle, "megabytes": _most_megabytes()}))


def _most_megabytes() -> float:
    """The most memory that this program has had. On Linux `getrusage` counts what the process had before it became this
    program, so that a big bench would be taken for a big reader."""
    status = Path("/proc/self/status")
    if status.exists():
        (kilobytes,) = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(kilobytes) / 1024
    bytes_per_unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * bytes_per_unit / 1024 / 1024


# ---------------------------------------------------------------- how late


def _whole(*, written: int) -> list[Figure]:
    """The whole stack: poller, queue, host, trigger, settle, the simulated list; read back through Graph."""
    with tempfile.TemporaryDirectory(prefix="syncbridge-bench-") as folder, supervised() as supervisor:
        Path(folder).chmod(0o711)
        wanted = Options(durable=False, counts=Counts.for_projects(100), multiplier=1000.0)
        stack = bring_up(load(Path(folder) / "stack"), supervisor, wanted, lambda _: None)
        api = Api(stack.api_url, stack.state.host_key)
        try:
            work = Work(stack=stack, api=api, report=_Silent())
            told = cdc.run(work, instance=register_database(work))
            kept = _kept(work, written)
        finally:
            api.close()
    late = [
        Figure(
            name=f"commit_to_{where}_{share}",
            value=float(str(told[f"commit_to_{where}_{share}_s"])),
            unit="s",
            against=LATEST,
            note="what 99 of 100 changes may take to their item, with a free budget",
        )
        for where in ("queue", "item")
        for share in ("p50", "p99")
    ]
    return [*late, kept]


def _kept(work: Work, rows: int) -> Figure:
    """The most that the server keeps for the slot while somebody writes as fast as they can and the poller reads."""
    (slot,) = work.api.get("/ops/slots")
    most, done = 0, threading.Event()
    ask = "select pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint from pg_replication_slots where slot_name = %s"

    def write() -> None:
        with psycopg.connect(work.source_dsn, autocommit=True) as connection:
            for _ in range(0, rows, 500):
                connection.execute(
                    "insert into business.customers (name, country) select 'Noise ' || g, 'DE' from generate_series(1, 500) g"
                )
        done.set()

    with psycopg.connect(work.source_dsn, autocommit=True) as connection:
        begin, end = _wal_end(connection), None
        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        while end is None or parse_lsn(work.api.get("/ops/slots")[0]["queued_lsn"]) < end:
            if end is None and done.wait(0.02):
                end = _wal_end(connection)
            most = max([most, *(kept for (kept,) in connection.execute(ask, [slot["slot"]]))])
        writer.join()
    return Figure(
        name="stream_most_kept",
        value=float(most),
        unit="bytes",
        against=slot["budget_bytes"],
        note=f"the slot's budget; {rows:,} rows were written in {end - begin:,} bytes of log, and the poller read along",
    )


class _Silent(Report):
    """Says nothing: the bench has a table of its own."""

    @contextmanager
    def step(self, name: str) -> Iterator[object]:  # type: ignore[override]
        from infra.local.demo.report import Step

        yield Step(name)


# ---------------------------------------------------------------- parts


@contextmanager
def _source() -> Iterator[tuple[PostgresServer, SourceDatabase]]:
    server = start_postgres(settings={"max_wal_size": "4GB"})
    try:
        with SourceDatabase(_address(_dsn(server)), admit=_admit) as database:
            yield server, database
    finally:
        server.remove()


@contextmanager
def _queue() -> Iterator[StorageQueues]:
    with tempfile.TemporaryDirectory(prefix="syncbridge-bench-") as folder:
        service = azurite.start(Path(folder))
        queues = StorageQueues(service.connection_string)
        try:
            queues.put("cdc-changes", "{}")  # loads the SDK and makes the queue: a poller does that once
            yield queues
        finally:
            queues.close()
            service.stop()


def _dsn(server: PostgresServer) -> str:
    return server.dsn()


def _address(dsn: str) -> Address:
    parts = psycopg.conninfo.conninfo_to_dict(dsn)
    secret = Secret(str(parts["password"]))
    return Address(
        host=str(parts["host"]),
        port=int(str(parts["port"])),
        dbname=str(parts["dbname"]),
        user=str(parts["user"]),
        tls=TlsMode.DISABLE,
        password=lambda: secret,
    )


def _admit(_host: str, _port: int) -> None:
    """A server of our own."""


def _wal_end(connection: psycopg.Connection[tuple[object, ...]]) -> Lsn:
    row = connection.execute("select pg_current_wal_insert_lsn()::text").fetchone()
    assert row is not None
    return parse_lsn(str(row[0]))


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    _child(json.loads(sys.argv[1]))
