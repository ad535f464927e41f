"""Fields that take no part for a while, because their column is not the one that was agreed on: written on neither side.

What was agreed about such a field stays in the ledger, and an entry remembers which fields were paused when it was made:
its eTag says nothing about those, so their items are looked at before anything is assumed of them again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.core.ids import Digest, FieldNo

_FIELDS = 16
"""Bytes of the fingerprint of the fields; see shared.core.mapping."""
_NUMBER = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    reason: str
    """A sentence's part for a person: what of the column is not as it was."""
    since: datetime
    seen_by: str


def agreed_under(fields: bytes, paused: Iterable[FieldNo]) -> bytes:
    """What agreements are made under: the fingerprint of the fields, and the numbers of those that are paused."""
    return fields + b"".join(no.to_bytes(_NUMBER, "big") for no in sorted(paused))


def fields_of(fingerprint: bytes) -> bytes:
    """The fingerprint of the fields, whichever of them were paused."""
    return fingerprint[:_FIELDS]


def paused_under(fingerprint: bytes | None) -> frozenset[FieldNo]:
    """The fields that were paused when an agreement was made."""
    rest = (fingerprint or b"")[_FIELDS:]
    return frozenset(FieldNo(int.from_bytes(rest[n : n + _NUMBER], "big")) for n in range(0, len(rest), _NUMBER))


def without(base: Mapping[FieldNo, Digest] | None, paused: frozenset[FieldNo]) -> Mapping[FieldNo, Digest]:
    """Of a side that is made anew: nothing was agreed about what it was made without."""
    return {no: digest for no, digest in (base or {}).items() if no not in paused}


def held(base: Mapping[FieldNo, Digest] | None, paused: frozenset[FieldNo]) -> Mapping[FieldNo, Digest]:
    """What was agreed about paused fields, to be kept as it is."""
    return {no: digest for no, digest in (base or {}).items() if no in paused}
