"""The frames of a replication stream around pgoutput's messages, and positions in the write-ahead log.

https://www.postgresql.org/docs/current/protocol-replication.html
"""

import re
from datetime import UTC, datetime, timedelta
from struct import Struct, error
from typing import Final, NamedTuple, NewType

from shared.core.errors import StreamMalformed

Lsn = NewType("Lsn", int)
"""A byte position in one server's write-ahead log."""

NO_LSN: Final = Lsn(0)
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LSN: Final = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})", re.ASCII)
_XLOG: Final = Struct(">QQq").unpack_from
_KEEPALIVE: Final = Struct(">QqB").unpack_from
_STATUS: Final = Struct(">cQQQqB").pack
MESSAGE: Final = 119
"""What an XLogData frame begins with."""
PAYLOAD: Final = 25
"""Where its message begins."""


class XLogData(NamedTuple):
    """A frame with a message behind it, at PAYLOAD. `server_end`: what the server has written so far."""

    lsn: int
    server_end: int
    sent_at: int


class Keepalive(NamedTuple):
    """Everything before `server_end` that this stream is to see was sent before it."""

    server_end: int
    sent_at: int
    reply_wanted: bool


def decode_frame(frame: bytes) -> XLogData | Keepalive:
    """Raises StreamMalformed."""
    try:
        if frame[0] == MESSAGE:
            return XLogData(*_XLOG(frame, 1))
        if frame[0] == 107:  # k
            server_end, sent_at, reply = _KEEPALIVE(frame, 1)
            return Keepalive(server_end, sent_at, bool(reply))
    except (IndexError, error):
        raise StreamMalformed("a frame ends before its time") from None
    raise StreamMalformed(f"a frame of kind 0x{frame[0]:02x}")


def standby_status(received: Lsn, flushed: Lsn, now: datetime) -> bytes:
    """What we have: the server may forget what lies before `flushed`, and does not give us up."""
    return _STATUS(b"r", received, flushed, flushed, micros(now), 0)


def lsn_text(lsn: int) -> str:
    """As PostgreSQL prints it: 0/16B3748."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def parse_lsn(text: str) -> Lsn:
    """Raises ValueError for what is no position."""
    found = _LSN.fullmatch(text)
    if found is None:
        raise ValueError("a position in the log looks like 0/16B3748")
    return Lsn(int(found[1], 16) << 32 | int(found[2], 16))


def micros(moment: datetime) -> int:
    """Microseconds since 2000-01-01 UTC, as PostgreSQL counts."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment(micros: int) -> datetime:
    """Raises StreamMalformed for a time that no server's clock shows."""
    try:
        return _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        raise StreamMalformed("a time beyond the calendar") from None
