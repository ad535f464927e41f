"""A hot standby serves scans and looks, says that it is one, and is another server once it is promoted."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from infra.local.postgres import PostgresServer, server_account, start
from shared.adapters.postgres.health import check_health
from tests.integration.postgres.conftest import Opener, address_of, admit_all
from tests.integration.postgres.stamps import scan


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    primary: PostgresServer
    standby: PostgresServer

    def catch_up(self) -> None:
        """Until the standby has replayed what the primary has written so far."""
        with (
            psycopg.connect(self.primary.dsn()) as primary,
            psycopg.connect(self.standby.dsn(), autocommit=True) as standby,
        ):
            (target,) = primary.execute("select pg_current_wal_lsn()").fetchone() or (None,)
            until(lambda: standby.execute("select pg_last_wal_replay_lsn() >= %s", [target]).fetchone() == (True,))


def until(done: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"


def copy_of(data: Path, base: Path) -> None:
    """A cold copy of a stopped server's data, owned by whom PostgreSQL runs as."""
    shutil.copytree(data, base / "data", symlinks=True)
    (base / "data" / "standby.signal").touch()
    account = server_account()
    if account is not None:
        for path in [base, *base.rglob("*")]:
            os.chown(path, account.uid, account.gid, follow_symlinks=False)


@pytest.fixture
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with ExitStack() as stack:
        first = start()
        first.stop()
        base = Path(f"{first.base}-standby")
        base.mkdir()
        stack.callback(shutil.rmtree, base, ignore_errors=True)
        copy_of(first.base / "data", base)
        primary = start(first.base, password=first.password)
        stack.callback(primary.remove)
        conninfo = f"host=127.0.0.1 port={primary.port} user=postgres password={primary.password}"
        standby = start(base, password=first.password, settings={"primary_conninfo": conninfo})
        stack.callback(standby.stop)
        yield Pair(primary=primary, standby=standby)


def test_a_standby_is_read_and_knows_its_place_until_it_is_promoted(pair: Pair, open_source: Opener):
    primary, standby = open_source(pair.primary.dsn()), open_source(pair.standby.dsn())
    primary.run(
        "create table t (id int primary key, a text, u timestamptz default now(), x xid8 default pg_current_xact_id())",
        "insert into t (id, a) select g, 'x' || g from generate_series(1, 500) g",
    )
    pair.catch_up()
    spec = primary.spec("t", cursor="u")
    assert standby.spec("t", cursor="u") == spec
    assert scan(standby.tables, spec) == scan(primary.tables, spec)
    identities = standby.tables.select_identities(spec, 10, None)
    assert standby.tables.read_rows(spec, identities) == primary.tables.read_rows(spec, identities)

    bound = standby.tables.watermark_bound(spec)
    assert not bound.exact
    assert "from the primary" in bound.reason
    page = standby.tables.watermark_page(spec, None, limit=1000, bound=bound, overlap=timedelta(0))
    assert len(page.identities) == 500
    assert standby.tables.watermark_bound(primary.spec("t", cursor="x")).exact

    before = primary.tables.server_identity()
    assert (before.timeline, before.standby) == (1, False)
    copy = standby.tables.server_identity()
    assert (copy.system_identifier, copy.timeline, copy.standby) == (before.system_identifier, 1, True)
    assert check_health(address_of(pair.standby.dsn()), admit=admit_all).standby

    standby.run("select pg_promote()")
    promoted = standby.tables.server_identity()
    assert (promoted.system_identifier, promoted.timeline, promoted.standby) == (before.system_identifier, 2, False)
    assert standby.tables.watermark_bound(spec).exact
