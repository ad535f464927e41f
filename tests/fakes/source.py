"""A source table in memory: the SourceTables of settle's tests. Rows are text forms, as PostgreSQL would print them."""

import hashlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

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

    def put(self, key: str, **values: str | None) -> Identity:
        self._clock += 1
        blank = dict.fromkeys(self.columns)
        self.rows[key] = {"id": key, **blank, **self.rows.get(key, {}), **values}
        self._version[key] = self._clock
        return identity_of([key])

    def delete(self, key: str) -> Identity:
        del self.rows[key]
        return identity_of([key])

    def stamp(self, key: str) -> Stamp:
        shown = repr((sorted(self.rows[key].items()), key in self.soft_deleted)).encode()
        return Stamp(struct.unpack(">q", hashlib.blake2b(shown, digest_size=8).digest())[0])

    def _row(self, key: str) -> Row:
        return Row(
            identity=identity_of([key]),
            stamp=self.stamp(key),
            version=RowVersion(str(self._version[key])),
            in_scope=key not in self.out_of_scope,
            soft_deleted=key in self.soft_deleted,
            values=dict(self.rows[key]),
        )

    @contextmanager
    def copy_stamps(self, spec: SourceSpec) -> Iterator[Iterator[bytes]]:
        if self.failure is not None:
            raise self.failure
        yield self._blocks()

    def _blocks(self) -> Iterator[bytes]:
        yield b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
        for key in self.rows:
            if key in self.out_of_scope:
                continue
            identity = identity_of([key]).encode()
            yield struct.pack(">hi", 2, len(identity)) + identity + struct.pack(">iq", 8, self.stamp(key))
        yield struct.pack(">h", -1)

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
