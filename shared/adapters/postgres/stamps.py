"""One reading of a table's stamps: passes over the rows in scope that all see the same moment."""

from collections.abc import Generator, Iterator

from psycopg import sql

from shared.adapters.postgres import statements
from shared.adapters.postgres.connection import Connection
from shared.adapters.postgres.queries import queries
from shared.adapters.postgres.translation import translated
from shared.core.checksums import PROBE, PROBE_SEED
from shared.core.definition import SourceSpec
from shared.core.scope import Literal

BLOCK_BYTES = 256 * 1024
"""A COPY arrives row by row; handed on in blocks of this size it costs an eighth."""


class StampReading:
    """The port Stamps, inside one transaction with one snapshot. Errors are the engine's and name the table."""

    def __init__(self, connection: Connection, spec: SourceSpec) -> None:
        self._connection = connection
        self._spec = spec
        self._pass: Generator[bytes] | None = None
        self._ended = True

    def hashing(self) -> str:
        with translated(str(self._spec.table)):
            ((answer,),) = self._connection.execute(queries("stamps.sql")["hashing"], [PROBE, PROBE, PROBE_SEED])
        return str(answer)

    def rows(self, buckets: bytes | None = None) -> Iterator[bytes]:
        return self._begin(*statements.scan(self._spec, buckets))

    def checksums(self) -> Iterator[bytes]:
        return self._begin(*statements.checksums(self._spec))

    def close(self) -> bool:
        """Cancels a pass that nobody reads to its end; whether there was none."""
        ended = self._ended
        if self._pass is not None:
            self._pass.close()
        return ended

    def _begin(self, statement: sql.Composed, values: list[Literal | bytes]) -> Iterator[bytes]:
        self._pass = self._copy(statement, values)
        return self._pass

    def _copy(self, statement: sql.Composed, values: list[Literal | bytes]) -> Generator[bytes]:
        """The COPY's rows, joined into blocks. psycopg cancels it when this is closed before its end."""
        self._ended = False
        parts: list[bytes | bytearray | memoryview] = []
        size = 0
        with (
            translated(str(self._spec.table)),
            self._connection.cursor() as cursor,
            cursor.copy(statement, values) as copy,
        ):
            for part in copy:
                parts.append(part)
                size += len(part)
                if size >= BLOCK_BYTES:
                    yield b"".join(parts)
                    parts, size = [], 0
        self._ended = True
        if parts:
            yield b"".join(parts)
