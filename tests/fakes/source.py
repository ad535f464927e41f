"""A source table in memory: the SourceTables of settle's tests. Rows are text forms, as PostgreSQL would print them."""

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from shared.core.checksums import BUCKETS
from shared.core.definition import SourceSpec
from shared.core.ids import Identity, RowVersion, Stamp, identity_of
from shared.core.runs import WatermarkCursor
from shared.core.source import Row
from shared.ports import WatermarkBound, WatermarkPage


@dataclass
class FakeSource:
    """One table with a text key `id`. `hidden` makes row-level security hide rows: reading raises it."""

    rows: dict[str, dict[str, str | None]] = field(default_factory=dict)
    out_of_scope: set[str] = field(default_factory=set)
    soft_deleted: set[str] = field(default_factory=set)
    columns: tuple[str, ...] = ("a", "b")
    failure: Exception | None = None
    reads: int = 0
    _version: dict[str, int] = field(default_factory=dict)
    _clock: int = 0
    _locks: dict[str, object] = field(default_factory=dict)
    _waiting: list[tuple[str, Callable[[], None]]] = field(default_factory=list)

    def put(self, key: str, **values: str | None) -> Identity:
        """A user writes a row. Where the engine's transaction holds it, the user waits: it happens when that ends."""

        def write() -> None:
            blank = dict.fromkeys(self.columns)
            self.store(key, {"id": key, **blank, **self.rows.get(key, {}), **values}, None)

        self._when_free(key, write)
        return identity_of([key])

    def delete(self, key: str) -> Identity:
        """A user deletes a row, waiting as in `put`."""
        self._when_free(key, lambda: self.store(key, None, None))
        return identity_of([key])

    def rename(self, key: str, new: str, **values: str | None) -> Identity:
        """A user changes a row's key, and what else is given: one UPDATE. Nobody else has the new key."""
        assert new not in self.rows, "the key is taken"
        assert not {key, new} & self._locks.keys(), "the row is locked"
        self.store(new, {**self.rows.pop(key), "id": new, **values}, None)
        return identity_of([new])

    def _when_free(self, key: str, write: Callable[[], None]) -> None:
        if key in self._locks:
            self._waiting.append((key, write))
        else:
            write()

    # -- what FakeWriter does to it

    def store(self, key: str, values: Mapping[str, str | None] | None, version: int | None) -> None:
        """A committed row; values None: a delete. `version` None: a new one."""
        if values is None:
            self.rows.pop(key, None)
            return
        self.rows[key] = dict(values)
        self._version[key] = self.next_version() if version is None else version

    def next_version(self) -> int:
        self._clock += 1
        return self._clock

    def version(self, key: str) -> RowVersion:
        return RowVersion(str(self._version[key]))

    def holder(self, key: str) -> object | None:
        """The open transaction that has written the row."""
        return self._locks.get(key)

    def lock(self, key: str, holder: object) -> None:
        self._locks[key] = holder

    def unlock(self, holder: object) -> None:
        """A transaction has ended: its rows are free, and who waited goes on in order."""
        self._locks = {key: other for key, other in self._locks.items() if other is not holder}
        waiting, self._waiting = self._waiting, []
        for key, write in waiting:
            self._when_free(key, write)

    def stamp(self, key: str) -> Stamp:
        return self._stamp(key, self.rows[key])

    def _stamp(self, key: str, values: Mapping[str, str | None]) -> Stamp:
        shown = repr((sorted(values.items()), key in self.soft_deleted)).encode()
        return Stamp(struct.unpack(">q", hashlib.blake2b(shown, digest_size=8).digest())[0])

    def row(self, key: str, values: Mapping[str, str | None], version: RowVersion) -> Row:
        return Row(
            identity=identity_of([key]),
            stamp=self._stamp(key, values),
            version=version,
            in_scope=key not in self.out_of_scope,
            soft_deleted=key in self.soft_deleted,
            values=dict(values),
        )

    def _row(self, key: str) -> Row:
        return self.row(key, self.rows[key], self.version(key))

    @contextmanager
    def copy_stamps(self, spec: SourceSpec) -> Iterator["FakeStamps"]:
        if self.failure is not None:
            raise self.failure
        yield FakeStamps({identity_of([key]): self.stamp(key) for key in self.rows if key not in self.out_of_scope})

    def read_rows(self, spec: SourceSpec, identities: Sequence[Identity]) -> Mapping[Identity, Row]:
        if self.failure is not None:
            raise self.failure
        self.reads += 1
        known = {identity_of([key]): key for key in self.rows}
        return {identity: self._row(known[identity]) for identity in identities if identity in known}

    def watermark_bound(self, spec: SourceSpec) -> WatermarkBound:
        raise NotImplementedError("this table has no cursor column")

    def watermark_page(
        self, spec: SourceSpec, after: WatermarkCursor | None, *, limit: int, bound: WatermarkBound, overlap: timedelta
    ) -> WatermarkPage:
        raise NotImplementedError("this table has no cursor column")

    def select_identities(self, spec: SourceSpec, limit: int, after: Identity | None) -> tuple[Identity, ...]:
        found = sorted(identity_of([key]) for key in self.rows if key not in self.out_of_scope)
        return tuple(identity for identity in found if after is None or identity > after)[:limit]

    def estimated_rows(self, spec: SourceSpec) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class FakeStamps:
    """The port Stamps over rows of one moment. It hashes as no PostgreSQL does, and says so."""

    stamps: Mapping[Identity, Stamp]

    def hashing(self) -> str:
        return "in memory"

    def rows(self, buckets: bytes | None = None) -> Iterator[bytes]:
        chosen = (
            (identity.encode(), stamp)
            for identity, stamp in self.stamps.items()
            if buckets is None or buckets[_bucket(identity) >> 3] >> (_bucket(identity) & 7) & 1
        )
        return _copy(struct.pack(">hi", 2, len(text)) + text + struct.pack(">iq", 8, stamp) for text, stamp in chosen)

    def checksums(self) -> Iterator[bytes]:
        found: dict[int, tuple[int, int]] = {}
        for identity, stamp in self.stamps.items():
            rows, checksum = found.get(_bucket(identity), (0, 0))
            found[_bucket(identity)] = (rows + 1, checksum ^ _hash(f"{identity}/{stamp}"))
        return _copy(
            struct.pack(">hiiiqiq", 3, 4, bucket, 8, rows, 8, checksum) for bucket, (rows, checksum) in found.items()
        )


def _copy(rows: Iterable[bytes]) -> Iterator[bytes]:
    """COPY BINARY, a block per row."""
    yield b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
    yield from rows
    yield struct.pack(">h", -1)


def _bucket(identity: Identity) -> int:
    return _hash(identity) % BUCKETS


def _hash(text: str) -> int:
    return int(struct.unpack(">q", hashlib.blake2b(text.encode(), digest_size=8).digest())[0])
