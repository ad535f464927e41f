"""Reads a COPY BINARY of (identity, stamp) as the metastore would, for assertions."""

import struct
from collections.abc import Iterable

from shared.adapters.postgres.source import PostgresSource
from shared.core.definition import SourceSpec

_SIGNATURE = b"PGCOPY\n\xff\r\n\x00"


def decode(blocks: Iterable[bytes]) -> list[tuple[str, int]]:
    data = b"".join(blocks)
    assert data.startswith(_SIGNATURE)
    at = len(_SIGNATURE) + 8
    rows = []
    while True:
        (count,) = struct.unpack_from("!h", data, at)
        at += 2
        if count == -1:
            assert at == len(data)
            return rows
        assert count == 2
        (size,) = struct.unpack_from("!i", data, at)
        identity = data[at + 4 : at + 4 + size].decode()
        at += 4 + size
        size, stamp = struct.unpack_from("!iq", data, at)
        assert size == 8
        at += 12
        rows.append((identity, stamp))


def scan(tables: PostgresSource, spec: SourceSpec) -> dict[str, int]:
    with tables.copy_stamps(spec) as blocks:
        rows = decode(blocks)
    assert len(rows) == len(dict(rows))
    return dict(rows)
