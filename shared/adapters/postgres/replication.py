"""Reading a replication slot: as a stream through libpq, or, where no replication connection is allowed, by SQL functions.

psycopg has no replication of its own; its PGconn has what the protocol needs (COPY in both directions). One thread uses a
feed. https://www.postgresql.org/docs/current/protocol-replication.html
"""

import select
import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice
from struct import pack
from typing import Any, Final

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo
from psycopg.errors import error_from_result

from shared.adapters.postgres import stream_statements
from shared.adapters.postgres.address import Address, Admit, connection_arguments
from shared.adapters.postgres.connection import PINNED, require_fast_driver
from shared.adapters.postgres.queries import queries
from shared.adapters.postgres.refusals import explain_refusal
from shared.adapters.postgres.translation import translate
from shared.core.errors import SourceUnavailable, StreamBroken, SyncError
from shared.core.replication import (
    MESSAGE,
    NO_LSN,
    Keepalive,
    Lsn,
    decode_frame,
    lsn_text,
    micros,
    parse_lsn,
    standby_status,
)
from shared.core.slots import PUBLICATION, BreakKind
from shared.ports import ChangeFeed, Clock

SUBJECT: Final = "the change stream"
APPLICATION: Final = "syncbridge-poller"
_LONGEST_SILENCE: Final = 10.0
"""Seconds between two words of ours, whatever the server would put up with."""
_AT_ONCE: Final = 10_000
"""Changes of one look by SQL; a transaction with more comes whole all the same."""
_CHUNK: Final = 500
_COMMIT: Final = 67
_END_LSN: Final = 10
"""Where a Commit message says where it ends."""
_STREAM_ONLY: Final = frozenset({"row_security", "client_encoding"})
"""Pinned settings that mean nothing to a walsender, or are the connection's own."""


def open_feed(
    address: Address,
    *,
    admit: Admit,
    clock: Clock,
    slot: str,
    at: Lsn,
    root_certificates: str | None = None,
    poll: timedelta = timedelta(milliseconds=200),
) -> ChangeFeed:
    """Changes behind `at`, from the slot. Raises SourceUnavailable (code slot_busy while somebody else reads it),
    StreamBroken, PermissionMissing, ConfigurationError."""
    require_fast_driver()
    arguments = connection_arguments(
        address, admit=admit, root_certificates=root_certificates, application_name=APPLICATION
    )
    arguments["options"] = _pinned_options()
    try:
        return Stream(arguments, clock=clock, slot=slot, at=at)
    except _NoStreamError:
        # Whatever the reason was, a server that lets us in otherwise lets us ask by SQL.
        return Polling(arguments, address=address, clock=clock, slot=slot, at=at, every=poll)


def _pinned_options() -> str:
    """What the texts of values depend on, as the session's very first settings: they outrank the role's and the
    database's own, and a walsender takes no others."""
    settings = {name: value for name, value in PINNED.items() if name not in _STREAM_ONLY}
    return " ".join(f"-c {name}={value.replace(' ', '')}" for name, value in settings.items())


class _NoStreamError(Exception):
    """The replication connection was refused."""


class Stream:
    """START_REPLICATION over a connection of its own."""

    streaming = True

    def __init__(self, arguments: dict[str, Any], *, clock: Clock, slot: str, at: Lsn) -> None:
        self._clock, self._slot = clock, slot
        self._flushed, self._received = at, at
        conninfo = make_conninfo("", **arguments, replication="database")
        self._connection = pq.PGconn.connect(conninfo.encode())
        if self._connection.status != pq.ConnStatus.OK:
            self.close()
            raise _NoStreamError
        try:
            self._silence = self._longest_silence()
            self._asked(stream_statements.start_replication(slot, PUBLICATION, at), pq.ExecStatus.COPY_BOTH)
            self._connection.nonblocking = 1
            self.confirm(at)
        except BaseException:
            self.close()
            raise

    def read(self, limit: int, wait: float) -> Sequence[bytes]:
        """Frames that have arrived, at most `limit`; waits `wait` seconds at most for the first. The server hears from us
        meanwhile, and when it asks."""
        frames: list[bytes] = []
        deadline = self._clock.monotonic() + wait
        get = self._connection.get_copy_data
        while len(frames) < limit:
            try:
                size, data = get(1)
            except psycopg.Error as error:
                raise self._lost(error) from None
            if size > 0:
                frames.append(bytes(data))
                if frames[-1][0] != MESSAGE:
                    self._attend(frames[-1])
            elif size < 0:
                raise self._ended()
            elif not self._more(0.0 if frames else deadline - self._clock.monotonic()):
                break
        if frames and frames[-1][0] == MESSAGE:
            self._received = max(self._received, Lsn(decode_frame(frames[-1]).server_end))
        self.keep()
        return frames

    def keep(self) -> None:
        """Tells the server that we are there, if it is time to."""
        if self._clock.monotonic() >= self._due:
            self._say()

    def confirm(self, flushed: Lsn) -> None:
        """Everything before this position is safe: the server need not send it again."""
        self._flushed = max(self._flushed, flushed)
        self._received = max(self._received, self._flushed)
        self._say()

    def close(self) -> None:
        self._connection.finish()

    def _more(self, seconds: float) -> bool:
        """Waits for bytes; False: none came in time. Never longer than the server puts up with our silence."""
        while True:
            now = self._clock.monotonic()
            part = max(0.0, min(seconds, self._due - now))
            if select.select([self._connection.socket], [], [], part)[0]:
                try:
                    self._connection.consume_input()
                except psycopg.Error as error:
                    raise self._lost(error) from None
                return True
            seconds -= part
            if seconds <= 0:
                return False
            self.keep()

    def _attend(self, frame: bytes) -> None:
        alive = decode_frame(frame)
        if isinstance(alive, Keepalive):
            self._received = max(self._received, Lsn(alive.server_end))
            if alive.reply_wanted:
                self._say()

    def _say(self) -> None:
        connection = self._connection
        try:
            connection.put_copy_data(standby_status(self._received, self._flushed, self._clock.now()))
            while connection.flush():
                select.select([connection.socket], [connection.socket], [], 1.0)
                connection.consume_input()
        except psycopg.Error as error:
            raise self._lost(error) from None
        self._due = self._clock.monotonic() + self._silence

    def _longest_silence(self) -> float:
        result = self._asked(b"show wal_sender_timeout", pq.ExecStatus.TUPLES_OK)
        seconds = _seconds((result.get_value(0, 0) or b"0").decode())
        self._due = self._clock.monotonic()
        return min(_LONGEST_SILENCE, seconds / 3) if seconds else _LONGEST_SILENCE

    def _asked(self, command: bytes, expected: pq.ExecStatus) -> pq.abc.PGresult:
        result = self._connection.exec_(command)
        if result.status != expected:
            raise _explained(error_from_result(result), self._slot)
        return result

    def _ended(self) -> SyncError:
        result = self._connection.get_result()
        if result is not None and result.status == pq.ExecStatus.FATAL_ERROR:
            return _explained(error_from_result(result), self._slot)
        return SourceUnavailable(f"{SUBJECT}: the server ended it", code="stream_ended")

    def _lost(self, error: psycopg.Error) -> SyncError:
        return translate(error, SUBJECT)


class Polling:
    """pg_logical_slot_peek_binary_changes, again and again, and pg_replication_slot_advance when they are safe.

    Everything is decoded twice by the server, and a change waits for the next look: half as fast, and late."""

    streaming = False

    def __init__(
        self, arguments: dict[str, Any], *, address: Address, clock: Clock, slot: str, at: Lsn, every: timedelta
    ) -> None:
        self._clock, self._slot, self._every = clock, slot, every.total_seconds()
        self._confirmed, self._advanced, self._outstanding = at, NO_LSN, NO_LSN
        self._frames: Iterator[bytes] | None = None
        self._found = False
        self._wal_end = lsn_text(at)
        self._publication = f'"{PUBLICATION}"'
        self._next = clock.monotonic()
        self._pause = threading.Event()  # never set: to wait on
        try:
            self._connection = psycopg.connect("", **arguments, autocommit=True, prepare_threshold=None)
        except psycopg.Error as error:
            raise explain_refusal(error, address) from None
        try:
            self._advance()
        except BaseException:
            self.close()
            raise

    def read(self, limit: int, wait: float) -> Sequence[bytes]:
        """What the last look has left, or, once all of that is confirmed, of a new one. Nothing new: a keep-alive."""
        if self._frames is None:
            if self._confirmed < self._outstanding or not self._is_time(wait):
                return []
            self._advance()
            self._wal_end = self._asked("wal_end")[0]
            self._frames, self._found = self._look(), False
        try:
            frames = list(islice(self._frames, limit))
        except psycopg.Error as error:
            raise _explained(error, self._slot) from None
        self._found = self._found or bool(frames)
        if len(frames) < limit:
            self._frames = None
            self._next = self._clock.monotonic() + self._every
            if not self._found:
                frames.append(pack(">cQqB", b"k", parse_lsn(self._wal_end), micros(self._clock.now()), 0))
        return frames

    def keep(self) -> None:
        """Nobody waits for our words."""

    def confirm(self, flushed: Lsn) -> None:
        self._confirmed = max(self._confirmed, flushed)

    def close(self) -> None:
        self._connection.close()

    def _is_time(self, wait: float) -> bool:
        left = self._next - self._clock.monotonic()
        if left > 0:
            self._pause.wait(min(left, wait))
        return left <= wait

    def _look(self) -> Iterator[bytes]:
        query = queries("replication.sql")["peek"]
        with self._connection.cursor(binary=True) as cursor:
            for lsn, message in cursor.stream(query, [self._slot, _AT_ONCE, self._publication], size=_CHUNK):
                if message[0] == _COMMIT:
                    self._outstanding = Lsn(int.from_bytes(message[_END_LSN : _END_LSN + 8], "big"))
                yield pack(">cQQq", b"w", parse_lsn(lsn), parse_lsn(lsn), 0) + message

    def _advance(self) -> None:
        if self._confirmed > self._advanced:
            self._asked("advance_slot", self._slot, lsn_text(self._confirmed))
            self._advanced = self._confirmed

    def _asked(self, name: str, *values: str) -> tuple[Any, ...]:
        try:
            row: tuple[Any, ...] | None = self._connection.execute(queries("replication.sql")[name], values).fetchone()
        except psycopg.Error as error:
            raise _explained(error, self._slot) from None
        assert row is not None, "these statements always answer"  # noqa: S101
        return row


def _explained(error: psycopg.Error, slot: str) -> SyncError:
    """What a server says about a slot, in the engine's words. Its texts are in its own language: only names are looked for."""
    said = error.diag.message_primary or ""
    match error.sqlstate:
        case "55006":
            return SourceUnavailable(f"{SUBJECT}: somebody else reads the slot {slot}", code="slot_busy")
        case "42704" if PUBLICATION in said:
            return StreamBroken(
                f"{SUBJECT}: the publication {PUBLICATION} is gone, or is younger than the changes to be read",
                code=BreakKind.PUBLICATION_MISSING,
            )
        case "42704":
            return StreamBroken(f"{SUBJECT}: the slot {slot} is gone", code=BreakKind.SLOT_MISSING)
        case "55000":
            return StreamBroken(f"{SUBJECT}: the server cannot read the slot {slot} any more", code=BreakKind.SLOT_LOST)
        case _:
            return translate(error, SUBJECT)


_UNITS: Final = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def _seconds(setting: str) -> float:
    """A time as PostgreSQL shows it: 1min, 500ms, 0."""
    number = setting.rstrip("abcdefghijklmnopqrstuvwxyz")
    return float(number) * _UNITS.get(setting[len(number) :], 0.001)
