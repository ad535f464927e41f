"""PostgreSQL's logical replication messages (plugin pgoutput, protocol version 1), decoded from bytes; no input, no output.

Rows stay bytes until somebody asks for some of their columns: a stream that needs keys never makes text of other values.
Whatever the bytes are, nothing but StreamMalformed is raised.
https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
"""

from collections.abc import Sequence
from struct import Struct, error
from typing import Final, NamedTuple

from shared.core.errors import StreamMalformed

_U16: Final = Struct(">H").unpack_from
_U32: Final = Struct(">I").unpack_from
_U64: Final = Struct(">Q").unpack_from
_BEGIN: Final = Struct(">QqI").unpack_from
_COMMIT: Final = Struct(">BQQq").unpack_from
_COLUMN: Final = Struct(">Ii").unpack_from


class Unchanged:
    """A TOASTed value that an UPDATE did not touch: it was not sent. It is not null."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = Unchanged()

Value = str | bytes | Unchanged | None
"""Of a column: its type's text output, bytes where the stream is binary, not sent, or null."""


class RowData(NamedTuple):
    """One row of a message, not looked at yet: `buffer` from `start` on. Its repr never shows values."""

    buffer: bytes
    start: int

    def __repr__(self) -> str:
        return "RowData(…)"

    def values(self) -> list[Value]:
        """Every column, in the relation's order."""
        values, _ = _row(self.buffer, self.start, None)
        return values

    def first(self) -> Value:
        """The first column, which mostly is the key: the shortest way to it."""
        buffer, at = self
        try:
            if buffer[at + 2] == 116 and (buffer[at] or buffer[at + 1]):  # t
                begin = at + 7
                end = begin + _U32(buffer, at + 3)[0]
                if end <= len(buffer):
                    return buffer[begin:end].decode()
        except (IndexError, error, UnicodeDecodeError):
            pass  # told below, as any other row's
        return self.pick((0,))[0]

    def pick(self, places: Sequence[int]) -> list[Value]:
        """The columns at these places, in their order. What lies behind the last of them is not read."""
        values, _ = _row(self.buffer, self.start, max(places) + 1 if places else 0)
        try:
            return [values[place] for place in places]
        except IndexError:
            raise StreamMalformed("a row has fewer columns than its relation") from None


# Tuples, not dataclasses: there may be a hundred thousand a second.
_make: Final = tuple.__new__


class Begin(NamedTuple):
    """`final_lsn`: of the transaction's commit record. `committed_at`: microseconds since 2000-01-01 UTC."""

    final_lsn: int
    committed_at: int
    xid: int


class Commit(NamedTuple):
    """`end_lsn`: behind the commit record; what is confirmed once everything before it is safe."""

    lsn: int
    end_lsn: int
    committed_at: int


class Origin(NamedTuple):
    lsn: int
    name: str


class Column(NamedTuple):
    """`key`: a part of the replica identity."""

    key: bool
    name: str
    type_oid: int
    typmod: int


class Relation(NamedTuple):
    """A table as it was when what follows was written; sent before its first row and after every change of it.

    `replica_identity`: pg_class.relreplident. Under publish_via_partition_root a partition's rows come as the root's."""

    oid: int
    schema: str
    name: str
    replica_identity: str
    columns: tuple[Column, ...]


class Type(NamedTuple):
    oid: int
    schema: str
    name: str


class Insert(NamedTuple):
    relation: Relation
    new: RowData


class Update(NamedTuple):
    """`old`: the old key's columns, others null (`old_is_key`), where the key changed; or the whole old row under replica
    identity FULL; else None."""

    relation: Relation
    old: RowData | None
    old_is_key: bool
    new: RowData


class Delete(NamedTuple):
    relation: Relation
    old: RowData
    old_is_key: bool


class Truncate(NamedTuple):
    relations: tuple[Relation, ...]
    cascade: bool
    restart_identity: bool


class Message(NamedTuple):
    """What pg_logical_emit_message() wrote; sent only when asked for."""

    transactional: bool
    lsn: int
    prefix: str
    content: bytes


Event = Begin | Commit | Origin | Relation | Type | Insert | Update | Delete | Truncate | Message


class Decoder:
    """Remembers relations, by which the messages after them are read. One per stream: a new stream sends them anew."""

    def __init__(self) -> None:
        self.relations: dict[int, Relation] = {}

    def decode(self, buffer: bytes, start: int = 0) -> Event:
        """The message that `buffer` holds from `start` to its end."""
        try:
            return self._decode(buffer, start)
        except (IndexError, error):
            raise StreamMalformed("a message ends before its time") from None
        except UnicodeDecodeError:
            raise StreamMalformed("a name is not UTF-8, although the stream was asked for in UTF-8") from None

    def _decode(self, buffer: bytes, start: int) -> Event:
        kind, at = buffer[start], start + 1
        if kind == 73:  # I, by far the most: without a call that can be spared
            relation = self.relations.get(_U32(buffer, at)[0])
            if relation is not None and buffer[at + 4] == 78:  # N
                return _make(Insert, (relation, _make(RowData, (buffer, at + 5))))
            return Insert(self._relation_at(buffer, at), _new(buffer, at + 4))
        if kind == 85:  # U
            return self._update(buffer, at)
        if kind == 68:  # D
            return Delete(self._relation_at(buffer, at), RowData(buffer, at + 5), _is_key(buffer[at + 4]))
        if kind == 66:  # B
            return Begin(*_BEGIN(buffer, at))
        if kind == 67:  # C
            return Commit(*_COMMIT(buffer, at)[1:])
        if kind == 82:  # R
            return self._relation(buffer, at)
        if kind == 84:  # T
            return self._truncate(buffer, at)
        if kind == 89:  # Y
            schema, following = _name(buffer, at + 4)
            name, _ = _name(buffer, following)
            return Type(_U32(buffer, at)[0], schema or "pg_catalog", name)
        if kind == 79:  # O
            return Origin(_U64(buffer, at)[0], _name(buffer, at + 8)[0])
        if kind == 77:  # M
            return _message(buffer, at)
        raise StreamMalformed(f"a message of kind 0x{kind:02x}, which protocol version 1 does not have")

    def _relation_at(self, buffer: bytes, at: int) -> Relation:
        (oid,) = _U32(buffer, at)
        try:
            return self.relations[oid]
        except KeyError:
            raise StreamMalformed("a row of a relation that was not described before it") from None

    def _update(self, buffer: bytes, at: int) -> Update:
        relation, marker = self._relation_at(buffer, at), buffer[at + 4]
        if marker == 78:  # N
            return Update(relation, None, False, RowData(buffer, at + 5))
        old_is_key = _is_key(marker)
        _, following = _row(buffer, at + 5, None)
        return Update(relation, RowData(buffer, at + 5), old_is_key, _new(buffer, following))

    def _relation(self, buffer: bytes, at: int) -> Relation:
        (oid,) = _U32(buffer, at)
        schema, at = _name(buffer, at + 4)
        name, at = _name(buffer, at)
        identity, (count,) = chr(buffer[at]), _U16(buffer, at + 1)
        at += 3
        columns = []
        for _ in range(count):
            flags = buffer[at]
            column, at = _name(buffer, at + 1)
            type_oid, typmod = _COLUMN(buffer, at)
            columns.append(Column(bool(flags & 1), column, type_oid, typmod))
            at += 8
        relation = Relation(oid, schema or "pg_catalog", name, identity, tuple(columns))
        self.relations[oid] = relation
        return relation

    def _truncate(self, buffer: bytes, at: int) -> Truncate:
        (count,), options = _U32(buffer, at), buffer[at + 4]
        if count > (len(buffer) - at - 5) // 4:
            raise StreamMalformed("a message ends before its time")
        relations = tuple(self._relation_at(buffer, at + 5 + 4 * number) for number in range(count))
        return Truncate(relations, bool(options & 1), bool(options & 2))


def _new(buffer: bytes, at: int) -> RowData:
    if buffer[at] != 78:  # N
        raise StreamMalformed("a row has no new values")
    return RowData(buffer, at + 1)


def _is_key(marker: int) -> bool:
    if marker not in (75, 79):  # K, O
        raise StreamMalformed("old values are neither a key nor a row")
    return marker == 75


def _message(buffer: bytes, at: int) -> Message:
    flags, (lsn,) = buffer[at], _U64(buffer, at + 1)
    prefix, at = _name(buffer, at + 9)
    (length,) = _U32(buffer, at)
    content = buffer[at + 4 : at + 4 + length]
    if len(content) != length:
        raise StreamMalformed("a message ends before its time")
    return Message(bool(flags & 1), lsn, prefix, content)


def _name(buffer: bytes, at: int) -> tuple[str, int]:
    """A zero-terminated text and where what follows it begins."""
    end = buffer.find(b"\0", at)
    if end < 0:
        raise StreamMalformed("a name does not end")
    return buffer[at:end].decode(), end + 1


def _row(buffer: bytes, at: int, count: int | None) -> tuple[list[Value], int]:
    """The first `count` columns (None: all), and where what follows them begins."""
    values: list[Value] = []
    try:
        columns = (buffer[at] << 8) | buffer[at + 1]
        at += 2
        for _ in range(columns if count is None else min(columns, count)):
            kind = buffer[at]
            if kind in (116, 98):  # t, b
                begin = at + 5
                at = begin + int.from_bytes(buffer[at + 1 : begin], "big")
                if at > len(buffer):
                    raise StreamMalformed("a value ends before its time")
                value = buffer[begin:at]
                values.append(value.decode() if kind == 116 else value)
            elif kind == 110:  # n
                values.append(None)
                at += 1
            elif kind == 117:  # u
                values.append(UNCHANGED)
                at += 1
            else:
                raise StreamMalformed(f"a value of kind 0x{kind:02x}")
    except IndexError:
        raise StreamMalformed("a row ends before its time") from None
    except UnicodeDecodeError:
        raise StreamMalformed("a value is not UTF-8, although the stream was asked for in UTF-8") from None
    return values, at
