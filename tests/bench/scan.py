"""An exact scan of a table in which nothing changed, or one row of a thousand, beside reading its columns into Python.

The scan is the product's: checksums of both servers compared in the metastore, then the rows that they leave. Each
measurement is a process of its own (this file with `cycle` or `read`), so that its peak memory is its own; source and
metastore are two databases of one durable server.
"""

import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid4

import psycopg

from infra.local.postgres import PostgresServer, start
from shared.adapters.metastore.migrations import migrate
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.scans import ScanStore
from shared.adapters.postgres.address import Address, TlsMode
from shared.adapters.postgres.connection import SourceDatabase
from shared.adapters.postgres.introspection import introspect
from shared.adapters.postgres.source import PostgresSource
from shared.adapters.secrets import Secret
from shared.core.definition import SourceSpec, SyncDefinition
from shared.core.ids import InstanceId, RunId
from shared.core.source import KeyStrategy, SourceKey, TableRef
from tests.bench.figures import Figure

DEFINITION = UUID(int=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Rows of the table that is timed and of the one whose memory it is compared with."""

    large: int
    small: int
    rounds: int


SIZES = Sizes(large=1_000_000, small=100_000, rounds=3)
SMALL_SIZES = Sizes(large=20_000, small=10_000, rounds=1)

_TABLE = """
create table {name} (
    id bigint primary key, code text not null, name text, descr text, status text, qty int, price numeric(12,2),
    ratio double precision, active boolean, due date, created_at timestamptz, updated_at timestamptz, tags text[]
)"""
_FILL = """
insert into {name}
select g, 'C' || g, 'name of ' || g, repeat(md5(g::text), 3), (array['open', 'done', 'held'])[1 + g % 3], g % 1000,
       (g % 99999) / 100.0, g / 7.0, g % 2 = 0, date '2020-01-01' + (g % 2000)::int, now() - g * interval '1 s',
       now() - g * interval '1 s', array['a', 'b' || g % 7]
from generate_series(1, {rows}) g"""
_LEDGER = """
insert into syncbridge.sync_ledger
    (sync_def_id, source_identity_hash, source_identity, source_instance_id, state, sp_list_id, sp_item_id, stamp,
     field_digests, provenance)
select %s, sha256(convert_to(identity, 'UTF8')), identity, %s, 'SETTLED', 'list', row_number() over (), stamp, '', 'PUSH'
from syncbridge.{scan}"""

CHANGED_EACH = 1_000
_MOVE = """
update syncbridge.sync_ledger set stamp = stamp {by} where sync_def_id = %(definition)s and sp_item_id %% %(each)s = 0"""


def measure(sizes: Sizes = SIZES) -> list[Figure]:
    """Seconds and peak memory of one scan. About a minute."""
    server = start(durable=True)
    try:
        _prepare(server, sizes)
        rounds = [_round(server, sizes) for _ in range(sizes.rounds)]
        small = _child("cycle", server, "small", sizes.small)
    finally:
        server.remove()
    cycle, changed, bare = (statistics.median(one[which]["seconds"] for one in rounds) for which in (0, 1, 2))
    return [
        Figure(
            name="scan_unchanged",
            value=cycle,
            unit="s",
            against=bare,
            note=f"{sizes.large:,} rows: a bare psycopg read of the same columns",
        ),
        Figure(
            name="scan_changed",
            value=changed,
            unit="s",
            against=bare,
            note=f"the same read; every {CHANGED_EACH}th row has changed",
        ),
        Figure(
            name="scan_memory",
            value=max(one[which]["megabytes"] for one in rounds for which in (0, 1)),
            unit="MB",
            against=small["megabytes"],
            note=f"peak of the process at {sizes.large:,} rows: the same at {sizes.small:,}",
        ),
    ]


def _round(server: PostgresServer, sizes: Sizes) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """A scan of the unchanged table, one after a thousandth of it changed, and the bare read."""
    unchanged = _child("cycle", server, "large", sizes.large)
    with psycopg.connect(server.dsn("metastore"), autocommit=True) as ledger:
        values = {"definition": _definition("large").id, "each": CHANGED_EACH}
        ledger.execute(_MOVE.replace("{by}", "+ 1"), values)
        changed = _child("cycle", server, "large", sizes.large, changed=sizes.large // CHANGED_EACH)
        ledger.execute(_MOVE.replace("{by}", "- 1"), values)
        ledger.execute("vacuum analyze syncbridge.sync_ledger")
    return unchanged, changed, _child("read", server, "large", sizes.large)


def _prepare(server: PostgresServer, sizes: Sizes) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute("create database source")
        admin.execute("create database metastore")
    migrate(server.dsn("metastore"))
    with psycopg.connect(server.dsn("source"), autocommit=True) as source:
        for name, rows in (("large", sizes.large), ("small", sizes.small)):
            source.execute(_TABLE.format(name=name))
            source.execute(_FILL.format(name=name, rows=rows))
            source.execute(f"vacuum analyze {name}")
    with _source(server.dsn("source")) as database, Metastore(server.dsn("metastore")) as metastore:
        for name in ("large", "small"):
            scans, run = ScanStore(metastore), RunId(uuid4())
            with PostgresSource(database).copy_stamps(_spec(database, name)) as stamps:
                scans.load(_definition(name), run, stamps)
            with psycopg.connect(server.dsn("metastore"), autocommit=True) as ledger:
                ledger.execute(_LEDGER.format(scan=f"scan_{run.hex}"), [_definition(name).id, DEFINITION])
            scans.drop(run)
    with psycopg.connect(server.dsn("metastore"), autocommit=True) as ledger:
        ledger.execute("vacuum analyze syncbridge.sync_ledger")


def _child(what: str, server: PostgresServer, table: str, rows: int, changed: int = 0) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.scan", what, table, str(rows), str(changed)]
    dsns = json.dumps([server.dsn("source"), server.dsn("metastore")])
    answer = subprocess.run(command, input=dsns, capture_output=True, text=True, check=True)
    return cast("dict[str, float]", json.loads(answer.stdout))


def _cycle(source: str, metastore: str, table: str, rows: int, changed: int) -> None:
    with _source(source) as database, Metastore(metastore) as store:
        scans, run, definition = ScanStore(store), RunId(uuid4()), _definition(table)
        with PostgresSource(database).copy_stamps(_spec(database, table)) as stamps:
            loaded = scans.load(definition, run, stamps)
        found = scans.compare(definition, run, loaded)
        scans.drop(run)
    if (found.scanned, found.ledger, found.new, found.changed, found.gone) != (rows, rows, 0, changed, 0):
        raise SystemExit(f"{changed} of {rows} rows have changed, not {found}")


def _read(source: str, table: str, rows: int) -> None:
    with psycopg.connect(source, autocommit=True) as connection, connection.cursor() as cursor:
        columns = "id, code, name, descr, status, qty, price, ratio, active, due, created_at, updated_at, tags"
        seen = sum(1 for _ in cursor.stream(f"select {columns} from {table}", size=1000))
    if seen != rows:
        raise SystemExit(f"{seen} rows were read")


def _source(dsn: str) -> SourceDatabase:
    parts = urlsplit(dsn)
    secret = Secret(unquote(parts.password or ""))
    address = Address(
        host=parts.hostname or "",
        port=parts.port or 5432,
        dbname=parts.path.removeprefix("/"),
        user=unquote(parts.username or ""),
        tls=TlsMode.DISABLE,
        password=lambda: secret,
    )
    return SourceDatabase(address, admit=lambda _host, _port: None)


def _spec(database: SourceDatabase, table: str) -> SourceSpec:
    snapshot = introspect(database, TableRef(schema="public", name=table))
    return SourceSpec(
        instance_id=InstanceId(DEFINITION),
        table=snapshot.table,
        relation=snapshot.kind,
        key=SourceKey(strategy=KeyStrategy.PRIMARY_KEY, columns=snapshot.columns[:1]),
        columns=snapshot.columns,
    )


def _definition(table: str) -> SyncDefinition:
    """Load and compare ask for the id and the fields' fingerprint, and nothing else."""
    return cast("SyncDefinition", SimpleNamespace(id=UUID(int=2 if table == "large" else 3), mapping_fingerprint=None))


def main(arguments: list[str]) -> None:
    what, table, rows, changed = arguments
    source, metastore = json.loads(sys.stdin.read())
    begun = time.perf_counter()
    if what == "cycle":
        _cycle(source, metastore, table, int(rows), int(changed))
    else:
        _read(source, table, int(rows))
    seconds = time.perf_counter() - begun
    print(json.dumps({"seconds": seconds, "megabytes": _peak()}))


def _peak() -> float:
    """MB that this program has held at most. getrusage would count the parent's memory from before the exec too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024


if __name__ == "__main__":
    main(sys.argv[1:])
