"""Fields that take no part for a while, because their column is not the one that was agreed on: written on neither side.

What was agreed about such a field stays in the ledger, and an entry remembers which fields were paused when it was made:
its stamp covers other columns. Where an item was read meanwhile and taken as it is, its eTag says nothing about them: it is
looked at before anything is assumed of it once they go on.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.core.ids import Digest, FieldNo

_FIELDS = 16
"""Bytes of the fingerprint of the fields; see shared.core.mapping."""
_NUMBER = 2
"""Bytes of a field's number, which is a smallint and leaves the highest bit."""
_UNSEEN = 1 << 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    reason: str
    """A sentence's part for a person: what of the column is not as it was."""
    since: datetime
    seen_by: str


def agreed_under(fields: bytes, paused: Iterable[FieldNo], unseen: Collection[FieldNo] = ()) -> bytes:
    """What agreements are made under: the fingerprint of the fields, and the numbers of those that are paused. `unseen`: of
    these, the ones of which the entry's eTag says nothing."""
    marked = (no | _UNSEEN if no in unseen else no for no in sorted(paused))
    return fields + b"".join(number.to_bytes(_NUMBER, "big") for number in marked)


def fields_of(fingerprint: bytes) -> bytes:
    """The fingerprint of the fields, whichever of them were paused."""
    return fingerprint[:_FIELDS]


def unseen_under(fingerprint: bytes | None) -> frozenset[FieldNo]:
    """Paused fields in which the item may have got another value before the eTag that was agreed on."""
    rest = (fingerprint or b"")[_FIELDS:]
    numbers = (int.from_bytes(rest[n : n + _NUMBER], "big") for n in range(0, len(rest), _NUMBER))
    return frozenset(FieldNo(number ^ _UNSEEN) for number in numbers if number & _UNSEEN)


def without(base: Mapping[FieldNo, Digest] | None, paused: frozenset[FieldNo]) -> Mapping[FieldNo, Digest]:
    """Of a side that is made anew: nothing was agreed about what it was made without."""
    return {no: digest for no, digest in (base or {}).items() if no not in paused}


def held(base: Mapping[FieldNo, Digest] | None, paused: frozenset[FieldNo]) -> Mapping[FieldNo, Digest]:
    """What was agreed about paused fields, to be kept as it is."""
    return {no: digest for no, digest in (base or {}).items() if no in paused}
