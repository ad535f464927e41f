"""A worker that captures by watermark and kills itself with SIGKILL where it is told to.

python -m tests.scenarios.watermark_worker SOURCE_DSN METASTORE_DSN inside|after|never
"""

import os
import signal
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NoReturn, cast
from uuid import UUID

from shared.adapters.metastore import cursors
from shared.adapters.metastore.cursors import CursorStore
from shared.adapters.metastore.ledger import LedgerStore
from shared.adapters.metastore.pool import Metastore
from shared.adapters.postgres.connection import SourceDatabase
from shared.adapters.postgres.introspection import introspect
from shared.adapters.postgres.source import PostgresSource
from shared.captures import watermark as capture
from shared.core.definition import SourceSpec, SyncDefinition
from shared.core.ids import DefinitionId, InstanceId
from shared.core.source import KeyStrategy, SourceKey, TableRef
from tests.integration.postgres.conftest import address_of, admit_all

DEFINITION = DefinitionId(UUID(int=7))
INSTANCE = InstanceId(UUID(int=1))


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def dying_after(work: Callable[..., object]) -> Callable[..., NoReturn]:
    """The marks are made, in a transaction whose cursor has moved; it never commits."""

    def then(*arguments: object) -> NoReturn:
        work(*arguments)
        die()

    return then


def main(source_dsn: str, metastore_dsn: str, where: str) -> None:
    capture.PAGE = 100
    if where == "inside":
        cursors.insert_marks = dying_after(cursors.insert_marks)
    with (
        SourceDatabase(address_of(source_dsn), admit=admit_all) as database,
        Metastore(metastore_dsn, max_size=2) as metastore,
    ):
        snapshot = introspect(database, TableRef(schema="public", name="t"))
        columns = {column.name: column for column in snapshot.columns}
        spec = SourceSpec(
            instance_id=INSTANCE,
            table=snapshot.table,
            relation=snapshot.kind,
            key=SourceKey(strategy=KeyStrategy.PRIMARY_KEY, columns=(columns["id"],)),
            columns=tuple(columns.values()),
            cursor_column=columns["u"],
        )
        definition = cast("SyncDefinition", SimpleNamespace(id=DEFINITION, source=spec, watermark_fingerprint=b"scope"))
        steps: Any = capture.watermark(
            definition,
            source=PostgresSource(database),
            cursors=CursorStore(metastore),
            ledger=LedgerStore(metastore),
        )
        for _ in steps:
            if where == "after":
                die()


if __name__ == "__main__":
    main(*sys.argv[1:])
