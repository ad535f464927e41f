"""What a crash of the metastore's server leaves of the tables of a run: they are unlogged, and empty afterwards."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from shared.adapters.metastore.backlog import BacklogStore
from shared.adapters.metastore.enumerations import EnumerationStore
from shared.adapters.metastore.ledger import LedgerStore
from shared.adapters.metastore.migrations import migrate
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.scans import ScanStore
from shared.core.backlog import Lane
from shared.core.errors import MetastoreUnavailable
from shared.core.ids import ETag, ItemId, RunId
from shared.core.items import DeltaEntry
from shared.core.runs import DeltaCursor
from shared.ports import Confirmation, ListPosition
from tests.fixtures.crashing import Crashing
from tests.integration.metastore.support import (
    Reading,
    claim_one,
    definition_id,
    entry,
    identity,
    keep_definition,
    list_spec,
)


def test_nothing_is_concluded_from_tables_that_a_crash_has_emptied(crashing: Callable[..., Crashing]):
    server, definition = crashing({}), definition_id()
    spec: Any = SimpleNamespace(id=definition, mapping_fingerprint=b"fingerprint")
    scanned, compared, listed = (RunId(uuid4()) for _ in range(3))
    dsn = server.server.dsn()
    migrate(dsn)
    with Metastore(dsn, max_size=4) as store, psycopg.connect(dsn, autocommit=True) as sql:
        keep_definition(sql, definition)
        claimed = claim_one(BacklogStore(store), definition, 1)
        [(holder,)] = sql.execute("select claim from syncbridge.sync_backlog").fetchall()
        assert LedgerStore(store).confirm(definition, holder, [Confirmation(claimed=claimed, entry=entry(1))], run=None)
        scans, enumerations = ScanStore(store, chunk=7), EnumerationStore(store, chunk=7)
        reading = Reading(sql, [(identity(n), n) for n in range(20)])
        loaded = scans.load(spec, scanned, reading)
        scans.compare(spec, compared, scans.load(spec, compared, reading))
        start = ListPosition(cursor=DeltaCursor(token="https://graph/now", fingerprint=b"f"), since=99)
        enumerations.start(list_spec(definition), listed, start)
        position = replace(start, complete=True)
        items = [DeltaEntry(item_id=ItemId(n), deleted=False, etag=ETag('"e,1"')) for n in range(1, 21)]
        enumerations.load(listed, items, position)
    server.crash()
    with Metastore(server.server.dsn(), max_size=4) as store:
        scans, enumerations = ScanStore(store, chunk=7), EnumerationStore(store, chunk=7)
        with pytest.raises(MetastoreUnavailable, match="scans again"):
            scans.compare(spec, scanned, loaded)
        with pytest.raises(MetastoreUnavailable, match="scans again"):
            list(scans.mark(spec, compared, lane=Lane.PUSH, hold_deletes=False))
        with pytest.raises(MetastoreUnavailable, match="reads the list again"):
            enumerations.compare(list_spec(definition), listed, position)
        assert BacklogStore(store).counts(definition).due == 0
        assert LedgerStore(store).entries(definition, [identity(1)])[identity(1)].item_id == 1
