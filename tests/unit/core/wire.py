"""pgoutput's messages as bytes, written by the protocol's page: what the decoder's tests read."""

from collections.abc import Sequence
from struct import pack

from shared.core.pgoutput import UNCHANGED, Value


def name(text: str) -> bytes:
    return text.encode() + b"\0"


def row(values: Sequence[Value]) -> bytes:
    return pack(">H", len(values)) + b"".join(map(_value, values))


def _value(value: Value) -> bytes:
    if value is None:
        return b"n"
    if value is UNCHANGED:
        return b"u"
    kind, raw = (b"b", value) if isinstance(value, bytes) else (b"t", str(value).encode())
    return kind + pack(">I", len(raw)) + raw


def begin(final_lsn: int = 100, committed_at: int = 0, xid: int = 7) -> bytes:
    return b"B" + pack(">QqI", final_lsn, committed_at, xid)


def commit(lsn: int = 100, end_lsn: int = 108, committed_at: int = 0) -> bytes:
    return b"C" + pack(">BQQq", 0, lsn, end_lsn, committed_at)


def origin(lsn: int, text: str) -> bytes:
    return b"O" + pack(">Q", lsn) + name(text)


def relation(oid: int, schema: str, table: str, identity: str, columns: Sequence[tuple[bool, str, int, int]]) -> bytes:
    head = b"R" + pack(">I", oid) + name(schema) + name(table) + identity.encode() + pack(">H", len(columns))
    return head + b"".join(
        bytes([key]) + name(column) + pack(">Ii", type_oid, typmod) for key, column, type_oid, typmod in columns
    )


def type_(oid: int, schema: str, text: str) -> bytes:
    return b"Y" + pack(">I", oid) + name(schema) + name(text)


def insert(oid: int, new: Sequence[Value]) -> bytes:
    return b"I" + pack(">I", oid) + b"N" + row(new)


def update(oid: int, new: Sequence[Value], old: Sequence[Value] | None = None, marker: bytes = b"K") -> bytes:
    before = b"" if old is None else marker + row(old)
    return b"U" + pack(">I", oid) + before + b"N" + row(new)


def delete(oid: int, old: Sequence[Value], marker: bytes = b"K") -> bytes:
    return b"D" + pack(">I", oid) + marker + row(old)


def truncate(oids: Sequence[int], options: int = 0) -> bytes:
    return b"T" + pack(">IB", len(oids), options) + b"".join(pack(">I", oid) for oid in oids)


def message(lsn: int, prefix: str, content: bytes, flags: int = 1) -> bytes:
    return b"M" + pack(">BQ", flags, lsn) + name(prefix) + pack(">I", len(content)) + content


def xlog(payload: bytes, lsn: int = 100, server_end: int = 200, sent_at: int = 0) -> bytes:
    return b"w" + pack(">QQq", lsn, server_end, sent_at) + payload


def keepalive(server_end: int, reply: bool = False, sent_at: int = 0) -> bytes:
    return b"k" + pack(">QqB", server_end, sent_at, reply)
