"""Reads the COPY BINARY of a scan as the metastore would, for assertions."""

import struct
from collections.abc import Iterable, Iterator

from shared.core.definition import SourceSpec
from shared.ports import SourceTables

_SIGNATURE = b"PGCOPY\n\xff\r\n\x00"


def decode(blocks: Iterable[bytes]) -> list[tuple[str, int]]:
    return [(identity.decode(), *struct.unpack("!q", stamp)) for identity, stamp in _fields(blocks)]


def decode_checksums(blocks: Iterable[bytes]) -> dict[int, tuple[int, int]]:
    """Rows and checksum by bucket."""
    found = [struct.unpack("!iqq", bucket + rows + checksum) for bucket, rows, checksum in _fields(blocks)]
    assert len(found) == len({bucket for bucket, _, _ in found})
    return {bucket: (rows, checksum) for bucket, rows, checksum in found}


def scan(tables: SourceTables, spec: SourceSpec) -> dict[str, int]:
    with tables.copy_stamps(spec) as stamps:
        rows = decode(stamps.rows())
    assert len(rows) == len(dict(rows))
    return dict(rows)


def _fields(blocks: Iterable[bytes]) -> Iterator[list[bytes]]:
    data = b"".join(blocks)
    assert data.startswith(_SIGNATURE)
    at = len(_SIGNATURE) + 8
    while True:
        (count,) = struct.unpack_from("!h", data, at)
        at += 2
        if count == -1:
            assert at == len(data)
            return
        fields = []
        for _ in range(count):
            (size,) = struct.unpack_from("!i", data, at)
            fields.append(data[at + 4 : at + 4 + size])
            at += 4 + size
        yield fields
