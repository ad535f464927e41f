"""Under concurrent writers neither capture misses a row, while readers that look right do."""

import random
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest

from shared.core.definition import SourceSpec
from shared.core.runs import WatermarkCursor
from tests.integration.postgres.conftest import Source
from tests.integration.postgres.stamps import scan

ROWS = 400
WRITERS = 6
SECONDS = 3.0


def write(dsn: str, seed: int, stop: threading.Event, committed: dict[str, int] | None = None) -> None:
    """Short and held transactions; some read first and write late, under their early now().

    `committed` is told each row's version once its commit has been answered.
    """
    dice = random.Random(seed)
    with psycopg.connect(dsn) as connection:
        while not stop.is_set():
            connection.execute("select 1")
            written: dict[str, int] = {}
            held = dice.random() < 0.3
            if held:
                stop.wait(dice.random() * 0.15)
            for _ in range(dice.randint(1, 3)):
                # Rows of its own per writer, so that writers do not wait for one another's locks.
                row = dice.randrange(ROWS // WRITERS) * WRITERS + seed
                (version,) = connection.execute(
                    "update t set v = v + 1, u = now(), x = pg_current_xact_id() where id = %s returning v", [row]
                ).fetchone() or (None,)
                written[f'["{row}"]'] = version
            if held:
                stop.wait(dice.random() * 0.15)
            connection.commit()
            if committed is not None:
                committed.update(written)


def keep_up(source: Source, spec: SourceSpec) -> Callable[[dict[str, int]], None]:
    """A reader by the port: reads to the end, keeps only what is safe."""
    stored: WatermarkCursor | None = None

    def cycle(seen: dict[str, int]) -> None:
        nonlocal stored
        bound = source.tables.watermark_bound(spec)
        position = stored
        while True:
            page = source.tables.watermark_page(spec, position, limit=50, bound=bound, overlap=timedelta(0))
            seen.update(page.identities)
            stored = page.safe or stored
            position = page.last
            if page.complete:
                return

    return cycle


def naive(source: Source, spec: SourceSpec) -> Callable[[dict[str, int]], None]:
    """Keyset and all, but it stores the last row it saw."""
    stored: WatermarkCursor | None = None

    def cycle(seen: dict[str, int]) -> None:
        nonlocal stored
        bound = source.tables.watermark_bound(spec)
        while True:
            page = source.tables.watermark_page(spec, stored, limit=50, bound=bound, overlap=timedelta(0))
            seen.update(page.identities)
            stored = page.last or stored
            if page.complete:
                return

    return cycle


@pytest.mark.parametrize("cursor_columns", [("u", "x")])
def test_late_commits_are_missed_by_a_plain_cursor_and_by_neither_of_ours(open_source, cursor_columns):
    source = open_source()
    source.run(
        "create table t (id int primary key, v int not null default 0, u timestamptz not null default now(),"
        " x xid8 not null default pg_current_xact_id())",
        f"insert into t (id) select generate_series(0, {ROWS - 1})",
        "create index on t (u, id)",
        "create index on t (x, id)",
    )
    by_time, by_xid = (source.spec("t", columns=["v"], cursor=column) for column in cursor_columns)
    readers = {"time": keep_up(source, by_time), "xid8": keep_up(source, by_xid), "naive": naive(source, by_time)}
    seen: dict[str, dict[str, int]] = {name: {} for name in readers}
    stop = threading.Event()
    writers = [threading.Thread(target=write, args=(source.dsn, seed, stop)) for seed in range(WRITERS)]
    for writer in writers:
        writer.start()
    ends = time.monotonic() + SECONDS
    try:
        while time.monotonic() < ends:
            for name, cycle in readers.items():
                cycle(seen[name])
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    # One late commit for certain, whatever the writers came to: another row is written and read in the meantime.
    with psycopg.connect(source.dsn) as late:
        late.execute("update t set v = v + 1, u = now(), x = pg_current_xact_id() where id = 0")
        source.run("update t set v = v + 1, u = clock_timestamp(), x = pg_current_xact_id() where id = 1")
        for name, cycle in readers.items():
            cycle(seen[name])
    for name, cycle in readers.items():
        cycle(seen[name])
    truth = scan(source.tables, by_time)
    stale = {name: sum(truth[identity] != stamps.get(identity) for identity in truth) for name, stamps in seen.items()}
    assert (stale["time"], stale["xid8"]) == (0, 0)
    assert stale["naive"] > 0, "the test lost its teeth: a reader that forgets late commits missed nothing"


def test_every_scan_has_what_was_committed_before_it_began(open_source):
    source = open_source()
    source.run(
        "create table t (id int primary key, v int not null default 0, u timestamptz, x xid8)",
        f"insert into t (id) select generate_series(0, {ROWS - 1})",
    )
    spec = source.spec("t", columns=["v"])
    stop = threading.Event()
    committed = dict.fromkeys((f'["{row}"]' for row in range(ROWS)), 0)
    writers = [threading.Thread(target=write, args=(source.dsn, seed, stop, committed)) for seed in range(WRITERS)]
    for writer in writers:
        writer.start()
    scans: list[tuple[dict[str, int], dict[str, int]]] = []
    ends = time.monotonic() + SECONDS / 2
    try:
        while time.monotonic() < ends or len(scans) < 4 or not any(scans[-1][0].values()):
            before = dict(committed)
            scans.append((before, scan(source.tables, spec)))
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    versions = dict(
        source.admin.execute(
            "select hash_record_extended(row(v), 0), v from generate_series(0, (select max(v) from t)) v"
        ).fetchall()
    )
    assert len(scans) > 3
    assert any(any(before.values()) for before, _ in scans)
    for before, stamps in scans:
        assert {identity for identity in before if versions[stamps[identity]] < before[identity]} == set()
