"""Digests of canonical values: what the ledger remembers of a row instead of its values.

A digest is BLAKE2b with 16 bytes over a type-tagged encoding, so that 1, true, "1" and ("1",) never meet. Two different
values of one field meet with probability 2^-128; the digest is no secret: short values can be guessed from it.
"""

import hashlib
import struct
from collections.abc import Mapping

from shared.core.canonical import Canonical
from shared.core.errors import InvariantViolated
from shared.core.ids import Digest, FieldNo

DIGEST_SIZE = 16
_ENTRY = struct.Struct(f">H{DIGEST_SIZE}s")


def _encoded(value: Canonical) -> bytes:
    if type(value) is str:  # most values are text, and the patterns below cost as much as the encoding
        return b"S" + value.encode("utf-8", "surrogatepass")
    match value:
        case None:
            return b"N"
        case bool():
            return b"T" if value else b"F"
        case int():
            return b"I%d" % value
        case str():
            return b"S" + value.encode("utf-8", "surrogatepass")
        case tuple():
            parts = [part.encode("utf-8", "surrogatepass") for part in value]
            return b"L" + b"".join(len(part).to_bytes(4) + part for part in parts)


def digest(value: Canonical) -> Digest:
    return Digest(hashlib.blake2b(_encoded(value), digest_size=DIGEST_SIZE).digest())


NULL_DIGEST = digest(None)


def pack(digests: Mapping[FieldNo, Digest]) -> bytes:
    """Field digests as the ledger stores them: per field, in the order of their numbers, the number as two bytes (big
    endian) and the digest. Field numbers are 0 to 65,535."""
    return b"".join(_ENTRY.pack(number, digests[number]) for number in sorted(digests))


def unpack(packed: bytes) -> dict[FieldNo, Digest]:
    """Raises InvariantViolated for bytes that `pack` did not make."""
    if len(packed) % _ENTRY.size:
        raise InvariantViolated(f"packed field digests are {_ENTRY.size} bytes each, these are {len(packed)} in all")
    found = {FieldNo(number): Digest(value) for number, value in _ENTRY.iter_unpack(packed)}
    if pack(found) != packed:
        raise InvariantViolated("packed field digests stand in the order of their field numbers, each number once")
    return found


def content_hash(base: Mapping[FieldNo, Digest]) -> Digest:
    """One digest over a whole base: equal exactly when the fields and their digests are."""
    return Digest(hashlib.blake2b(pack(base), digest_size=DIGEST_SIZE).digest())
